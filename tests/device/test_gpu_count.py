"""Launches and bytes of a scheduled program, counted by hand beside it."""

import pytest
from gpu_parts.count import bytes_of, count

# 5 days of 3 waves. A day: its row is read from the array of all days and a sum is written to its place; the waves are
# a loop of one library call. What runs but once: a copy, and a conditional of one launch or two.
PROGRAM = """
HloModule jit_f, is_scheduled=true

%read_row (param_0: f32[64], param_1: f32[5,64], param_2: s32[]) -> f32[64] {
  %param_0 = f32[64]{0} parameter(0)
  %param_1 = f32[5,64]{1,0} parameter(1)
  %param_2 = s32[] parameter(2)
  %zero = s32[] constant(0)
  %row = f32[1,64]{1,0} dynamic-slice(%param_1, %param_2, %zero), dynamic_slice_sizes={1,64}
  %flat = f32[64]{0} bitcast(%row)
  ROOT %sum = f32[64]{0} add(%param_0, %flat)
}

%write_sum (param_0: f32[5], param_1: s32[], param_2: f32[64]) -> f32[5] {
  %param_0 = f32[5]{0} parameter(0)
  %param_1 = s32[] parameter(1)
  %param_2 = f32[64]{0} parameter(2)
  %zero = f32[] constant(0)
  %total = f32[] reduce(%param_2, %zero), dimensions={0}, to_apply=%add
  %one = f32[1]{0} bitcast(%total)
  ROOT %all = f32[5]{0} dynamic-update-slice(%param_0, %one, %param_1)
}

%wave (state: (s32[], f32[64])) -> (s32[], f32[64]) {
  %state = (s32[], f32[64]{0}) parameter(0)
  %number = s32[] get-tuple-element(%state), index=0
  %values = f32[64]{0} get-tuple-element(%state), index=1
  %call = f32[64]{0} custom-call(%values), custom_call_target="sorted"
  ROOT %next = (s32[], /*index=1*/f32[64]{0}) tuple(%number, %call)
}

%day (state: (s32[], f32[64], f32[5], f32[5,64])) -> (s32[], f32[64], f32[5], f32[5,64]) {
  %state = (s32[], f32[64]{0}, f32[5]{0}, /*index=3*/f32[5,64]{1,0}) parameter(0)
  %number = s32[] get-tuple-element(%state), index=0
  %values = f32[64]{0} get-tuple-element(%state), index=1
  %sums = f32[5]{0} get-tuple-element(%state), index=2
  %rows = f32[5,64]{1,0} get-tuple-element(%state), index=3
  %plus = f32[64]{0} fusion(%values, %rows, %number), kind=kLoop, calls=%read_row
  %start = (s32[], f32[64]{0}) tuple(%number, %plus)
  %waves = (s32[], f32[64]{0}) while(%start), body=%wave, backend_config={"known_trip_count":{"n":"3"}}
  %after = f32[64]{0} get-tuple-element(%waves), index=1
  %written = f32[5]{0} fusion(%sums, %number, %after), kind=kInput, calls=%write_sum
  ROOT %next = (s32[], f32[64]{0}, f32[5]{0}, f32[5,64]{1,0}) tuple(%number, %after, %written, %rows)
}

%few (given: f32[64]) -> f32[64] {
  %given = f32[64]{0} parameter(0)
  ROOT %copied = f32[64]{0} copy(%given)
}

%many (given: f32[64]) -> f32[64] {
  %given = f32[64]{0} parameter(0)
  %copied = f32[64]{0} copy(%given)
  ROOT %again = f32[64]{0} copy(%copied)
}

ENTRY %main (x: f32[64], w: f32[5,64], which: pred[]) -> (f32[64], f32[5]) {
  %x = f32[64]{0} parameter(0)
  %w = f32[5,64]{1,0} parameter(1)
  %which = pred[] parameter(2)
  %zero = s32[] constant(0)
  %own = f32[64]{0} copy(%x)
  %none = f32[5]{0} constant({0, 0, 0, 0, 0})
  %start = (s32[], f32[64]{0}, f32[5]{0}, f32[5,64]{1,0}) tuple(%zero, %own, %none, %w)
  %days = (s32[], f32[64]{0}, f32[5]{0}, f32[5,64]{1,0}) while(%start), condition=%below, body=%day, TRIPS
  %last = f32[64]{0} get-tuple-element(%days), index=1
  %sums = f32[5]{0} get-tuple-element(%days), index=2
  %end = f32[64]{0} conditional(%which, %last, %last), true_computation=%few, false_computation=%many
  ROOT %out = (f32[64]{0}, f32[5]{0}) tuple(%end, %sums)
}
"""
KNOWN = PROGRAM.replace("TRIPS", 'backend_config={"known_trip_count":{"n":"5"}}')
ROW = 64 * 4
# Reads two rows (one of them of the array of all days) and a number, and writes a row.
READ_ROW = 3 * ROW + 4
# Reads a row and a number, and writes one sum in place.
WRITE_SUM = ROW + 4 + 4
WAVE = 2 * ROW


def test_launches_and_bytes_are_those_counted_by_hand() -> None:
    whole = count(KNOWN)
    assert whole.launches == 1 + 2 + 5 * (2 + 3 * 1)
    assert whole.bytes == 2 * ROW + 2 * 2 * ROW + 5 * (READ_ROW + WRITE_SUM + 3 * WAVE)


def test_loops_are_told_one_by_one() -> None:
    lines = [(depth, loop.name, loop.trips, loop.own_launches) for depth, loop in count(KNOWN).walk()]
    assert lines == [(0, "entry", 1, 3), (1, "day", 5, 2), (2, "wave", 3, 1)]


def test_a_loop_of_unknown_length_counts_once_and_says_so() -> None:
    whole = count(PROGRAM.replace(", TRIPS", ""))
    assert whole.loops[0].trips is None
    assert whole.launches == 1 + 2 + (2 + 3)


def test_a_scatter_moves_what_it_adds_and_not_the_whole_array() -> None:
    text = """
ENTRY %main (all: f32[1000,8], at: s32[3,1], rows: f32[3,8]) -> f32[1000,8] {
  %all = f32[1000,8]{1,0} parameter(0)
  %at = s32[3,1]{1,0} parameter(1)
  %rows = f32[3,8]{1,0} parameter(2)
  ROOT %added = f32[1000,8]{1,0} scatter(%all, %at, %rows), to_apply=%add
}
"""
    # The rows added are read, those they are added to read and written; and the three indices.
    assert count(text).bytes == 3 * (3 * 8 * 4) + 3 * 4


@pytest.mark.parametrize(
    ("shape", "size"),
    [("f32[2,3]{1,0}", 24), ("pred[7]", 7), ("bf16[]", 2), ("(s32[], f64[4]{0}, (u8[3]{0}))", 39), ("token[]", 0)],
)
def test_bytes_of_shapes(shape: str, size: int) -> None:
    assert bytes_of(shape) == size


def test_text_that_is_no_program_is_refused() -> None:
    with pytest.raises(ValueError, match="compiled program"):
        count("nothing")
