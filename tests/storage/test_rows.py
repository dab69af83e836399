from __future__ import annotations

from typing import get_type_hints

import pyarrow as pa
import pytest

from storage import rows, schema


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        (rows.TrackedObjectRow, schema.OBJECT),
        (rows.FrameRangeRow, schema.FRAME_RANGE),
        (rows.VideoRow, schema.VIDEOS),
        (rows.MaskRow, schema.MASKS),
        (rows.ClipRow, schema.CLIPS),
        (rows.MarkerRow, schema.MARKER),
        (rows.FrameRow, schema.FRAMES),
        (rows.TargetRow, schema.TARGET),
        (rows.SampleRow, schema.SAMPLES),
        (rows.OutcomeRow, schema.OUTCOMES),
    ],
)
def test_rows_have_the_columns_of_their_tables(row: type, columns: pa.Schema | pa.StructType) -> None:
    assert list(get_type_hints(row)) == [field.name for field in columns]
