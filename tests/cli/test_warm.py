"""A run that compiles kernels says so first, also where an earlier one had no rows that would have compiled them."""

from pathlib import Path

import pytest

from millstream.cli.warm import tell_if_cold

ONCE = "once per installation, about a minute (millstream warm does it ahead)"


@pytest.mark.parametrize(
    ("compiled", "aggregates", "told"),
    [
        ([], False, f"first run: compiling kernels, {ONCE}\n"),
        ([], True, f"first run: compiling kernels, {ONCE}\n"),
        (["kernels_1/batch_decode.decode_batches-9.py311.nbi"], False, ""),
        (
            ["kernels_1/batch_decode.decode_batches-9.py311.nbi", "ops_2/row_keys.copy_text-70.py311.nbi"],
            True,
            f"first rows to aggregate: compiling kernels, {ONCE}\n",
        ),
        (["kernels_1/batch_decode.decode_batches-9.py311.nbi", "ops_2/slots.assign_rows-9.py311.nbi"], True, ""),
    ],
)
def test_what_is_to_be_compiled_is_told(
    compiled: list[str],
    aggregates: bool,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    for name in compiled:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    tell_if_cold(aggregates=aggregates)

    out, err = capsys.readouterr()
    assert out + err == told
