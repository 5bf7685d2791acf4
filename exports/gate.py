"""The gate before publishing: groups that lie too far apart keep a release back, unless a signed exception stands.

It reads the release's deviation report, which judged every group by self-report when the release was built.
"""

from typing import Any

from exports.deviation import COMPARED_FROM, LARGEST_GAP
from exports.models import DeviationReport, GateException, Release

TOO_FAR = "too far apart"
VERDICTS = {
    "nothing rated": "it ran, and nothing in this release is rated",
    "too few to tell": f"it ran, and too few to tell: no two groups have {COMPARED_FROM} rated rows",
    "passes": f"it ran and passes: no two groups lie more than {LARGEST_GAP} apart",
    TOO_FAR: f"it ran, and groups lie more than {LARGEST_GAP} apart",
}


def refusal(release: Release) -> str:
    """Why the gate keeps this release back, in one sentence or two; empty if it does not."""
    report = DeviationReport.objects.filter(release=release).first()
    if report is None:
        return f"{release} has no deviation report: it was built before there were any. Draft a new release."
    over = report.content["gate"]["over"]
    exception = standing_exception(release)
    left = [finding for finding in over if exception is None or not _covers(exception, finding)]
    if not left:
        return ""
    return (
        f"Groups lie too far apart in {release}: {'; '.join(map(in_words, left))} (at most {LARGEST_GAP} is allowed). "
        "Look at its deviation report, mend what is behind it and draft again, or have an exception written and signed "
        "there."
    )


def in_words(finding: dict[str, Any]) -> str:
    """`quality by Gender: Woman 0.08 above Man`, never naming a group that is withheld."""
    where = f"{finding['score']} by {finding['title']}"
    if not finding["gap"]:
        return f"{where}: a group that is not shown, because it or another one is small or hardly changed"
    return f"{where}: {finding['higher']} {float(finding['gap']):.3f} above {finding['lower']}"


def standing_exception(release: Release) -> GateException | None:
    """The signed exception about this release's snapshot: written about it, or about the draft that it replaced."""
    return (
        GateException.objects.filter(release__dataset=release.dataset_id, release__snapshot_at=release.snapshot_at)
        .exclude(envelope="")
        .select_related("release__dataset", "release__deviation_report")
        .order_by("-pk")
        .first()
    )


def _covers(exception: GateException, finding: dict[str, Any]) -> bool:
    """Whether whoever signed saw this gap of the same groups, or a larger one; of groups not shown, just this one."""
    same = ("score", "columns", "higher", "lower")
    seen = exception.release.deviation_report.content["gate"]["over"]
    alike = [one for one in seen if all(one[name] == finding[name] for name in same)]
    if not finding["gap"]:
        return bool(finding.get("sealed")) and any(one.get("sealed") == finding["sealed"] for one in alike)
    return any(float(one["gap"]) >= float(finding["gap"]) for one in alike)


def card_text(release: Release) -> str:
    """What the release's card says of the gate: that it ran, what it found, and any exception."""
    report = DeviationReport.objects.filter(release=release).first()
    if report is None:
        return "Deviation gate: it did not run on this release."
    found = report.content["gate"]
    said = [f"Deviation gate: {VERDICTS[found['verdict']]}. Report: sha256 {report.sha256}."]
    said += ["\n".join(f"- {in_words(finding)}" for finding in found["over"])] if found["over"] else []
    if exception := standing_exception(release):
        said.append(
            f"Published under a signed exception ({exception.signed_at:%Y-%m-%d}). Reason: "
            f"{' '.join(exception.reason.split())} Owner: {exception.owner}."
        )
    return "\n\n".join(said)
