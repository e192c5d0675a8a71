"""The studio in Lighthouse, where it is installed: `npm install --prefix SOMEWHERE lighthouse`, its programs in PATH.

By itself: its first score tells of a machine that does nothing else, and beside other tests it says nothing.
"""

import shutil

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.skipif(not shutil.which("lighthouse"), reason="there is no lighthouse")
def test_the_studio_full_of_pictures_meets_its_goals(monkeypatch: pytest.MonkeyPatch) -> None:
    # The product runs in processes of its own, with settings of its own.
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "palette.settings")
    # It pins processes to cores as it is loaded, which not every system can.
    from benchmarks import lighthouse
    from benchmarks.place import places

    if lacking := [name for name in lighthouse.TOOLS if not shutil.which(name)]:
        pytest.skip(f"there is no {', '.join(lacking)}")
    with places(quick=False, only="sqlite") as [place]:
        rows = {row["name"]: row for row in lighthouse.measure(place)}

    assert len(rows) == 6
    for name, row in rows.items():
        if not row["void"]:
            value, goal = row["value"], row["goal"]
            assert value >= goal if row["better"] == "higher" else value <= goal, f"{name}: {value}, goal {goal}"
    if void := [f"{name}, as {row['why']}" for name, row in rows.items() if row["void"]]:
        pytest.skip(f"says nothing here: {'; '.join(void)}")
