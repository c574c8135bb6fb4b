"""Write the generated pages of this folder: python docs/write.py"""

from pathlib import Path

from meio_jax.cli.docs import command_page
from meio_jax.config.docs import configuration_page
from meio_jax.tables import format_page

PAGES = {"format.md": format_page, "configuration.md": configuration_page, "cli.md": command_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (Path(__file__).parent / name).write_text(page(), encoding="utf-8")
