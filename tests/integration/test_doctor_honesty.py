"""`eas-grpc doctor` where nothing is wrong, where several things are, and where the other side means harm.

It ends in time, without a traceback, a token or a control character, and is never certain of what is not so.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.doctor_rigs_good import GOOD, Good
from support.doctor_rigs_mixed import ANOTHER, FURTHER, HOSTILE, Mixed
from support.doctor_rigs_run import (
    BOUND_SECONDS,
    doctor,
    faults,
    ids,
    late,
    misshapen,
    true_of,
    unsafe,
    was_late,
    wrong,
)
from support.doctor_rigs_subtle import SUBTLE

# Programs at a time: each takes a core while it starts and then mostly waits.
AT_ONCE = 6


@pytest.fixture(autouse=True)
def _rigs_do_not_log_what_they_receive():
    """Their HTTP/2 library logs every header at DEBUG, tokens too; what the suite searches is what clients log."""
    logger = logging.getLogger("hpack")
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(logging.NOTSET)


def together(work, cases, folder: Path) -> None:
    """All cases, a few at a time; every miss of every one of them at once."""

    def one(case, name: str) -> list[str]:
        place = folder / name
        place.mkdir()
        return list(work(case, place))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(cases, pool.map(lambda case: one(case, case.name), cases), strict=True))
    for case, misses in found.items():
        if was_late(misses):
            found[case] = one(case, f"{case.name}-alone")
    assert not any(found.values()), "\n".join(
        f"{case.name}: {miss}" for case, misses in found.items() for miss in misses
    )


@pytest.mark.parametrize("good", GOOD, ids=lambda good: good.name)
def test_bare_grpc_is_answered_where_nothing_is_wrong(good: Good, tmp_path: Path):
    with good.make(tmp_path) as rig:
        assert rig.bare().status == "OK"


@pytest.mark.parametrize("mixed", [*FURTHER, *HOSTILE, *SUBTLE], ids=lambda mixed: mixed.name)
def test_bare_grpc_meets_these_states_too(mixed: Mixed, tmp_path: Path):
    with mixed.make(tmp_path) as rig:
        met = rig.bare()
    status, text = mixed.met
    assert met.status == status
    assert text in met.details


def test_where_nothing_is_wrong_nothing_is_found(tmp_path: Path):
    together(_misses_of_good, GOOD, tmp_path)


def _misses_of_good(good: Good, folder: Path) -> list[str]:
    with good.make(folder) as rig:
        ran = doctor(rig, folder, "--json")
    found = unsafe(ran)
    try:
        report = ran.report
    except ValueError:
        return [*found, f"exit {ran.code}, no JSON but {(ran.stdout + ran.stderr)[:300]!r}"]
    found += misshapen(report) + late(ran, report["seconds"])
    if faults(report) or (ran.code, report["exit"]) != (0, 0):
        found.append(f"exit {ran.code}, {report['verdict']}: {report['sentence']}")
    found += [f"sure of {name}" for name in wrong(report, true_of(rig, good.said | good.true))]
    found += [f"does not say {name}" for name in good.said - set(ids(report))]
    return found


def test_what_else_can_be_wrong_is_named_too(tmp_path: Path):
    together(_misses_of_mixed, FURTHER, tmp_path)


def test_the_verdict_that_comes_to_mind_first_is_not_given_where_it_is_wrong(tmp_path: Path):
    together(_misses_of_mixed, SUBTLE, tmp_path)


def test_peers_that_mean_harm_are_survived_and_not_misjudged(tmp_path: Path):
    together(_misses_of_mixed, HOSTILE, tmp_path)


def _misses_of_mixed(mixed: Mixed, folder: Path) -> list[str]:
    allowed = BOUND_SECONDS + mixed.waits
    with mixed.make(folder) as rig:
        ran = doctor(rig, folder, "--json", patience=allowed)
        # What is for people is looked at where it may do harm, or has words of its own.
        both = mixed in HOSTILE or mixed.read or mixed.unread
        read = doctor(rig, folder, patience=allowed) if both else ran
    found = unsafe(ran, ANOTHER) + unsafe(read, ANOTHER) + late(read, 0.0, allowed)
    try:
        report = ran.report
    except ValueError:
        return [*found, f"exit {ran.code}, no JSON but {(ran.stdout + ran.stderr)[:300]!r}"]
    found += misshapen(report) + late(ran, report["seconds"], allowed)
    said = f"exit {ran.code}, {report['verdict']}: {report['sentence']}"
    if mixed.verdicts and report["verdict"] not in mixed.verdicts:
        found.append(said)
    fine = mixed.exits == {0} or "slow" in mixed.true
    if not mixed.verdicts and report["verdict"] == "ok" and not fine:
        found.append(said)
    if ran.code != report["exit"] or (mixed.exits is not None and ran.code not in mixed.exits):
        found.append(said)
    found += [f"sure of {name}" for name in wrong(report, true_of(rig, mixed.true))]
    found += [f"does not say {name}" for name in mixed.said - set(ids(report))]
    if mixed.read not in read.words:
        found.append(f"people do not read {mixed.read!r}")
    if mixed.unread and mixed.unread in read.words:
        found.append(f"people read {mixed.unread!r}")
    return found
