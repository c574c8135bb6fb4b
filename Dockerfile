# meio-jax as an image whose command is `meio`:
#   docker build -t meio-jax .                                processor
#   docker build -t meio-jax:cuda --build-arg EXTRA=cuda .    NVIDIA GPUs (run with --gpus all)
#   docker run --rm -v "$PWD:/work" meio-jax solve config.yaml
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY meio_jax meio_jax
COPY kernels kernels
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
ARG EXTRA=""
COPY --from=build /wheels /wheels
RUN wheel=$(ls /wheels/*.whl) \
 && pip install --no-cache-dir "${wheel}[backtest${EXTRA:+,$EXTRA}]" \
 && rm -r /wheels \
 && useradd --create-home planner
USER planner
WORKDIR /work
ENTRYPOINT ["meio"]
CMD ["--help"]
