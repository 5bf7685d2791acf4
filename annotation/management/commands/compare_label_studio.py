"""manage.py compare_label_studio: what Label Studio has beside what it should have, now instead of tonight."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count

from annotation import accounts, comparison
from annotation.comparison_models import Comparison, Difference
from annotation.labelstudio import LabelStudioError
from annotation.models import LabelProject


class Command(BaseCommand):
    help = (
        "Compares every project with Label Studio and mends what differs. It happens once a day by itself; run it as "
        "soon as Label Studio was restored from a backup. What is missing there goes out with the next push. "
        "Exit code 1: Label Studio did not answer, so run it again."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if lost := accounts.forget_lost_accounts():
                self.stdout.write(f"{lost} annotators' accounts were gone: their own pages make others")
            for project in LabelProject.objects.select_related("campaign").order_by("pk"):
                self._tell(comparison.compare_project(project=project))
        except LabelStudioError as error:
            raise CommandError(str(error)) from error

    def _tell(self, made: Comparison) -> None:
        self.stdout.write(f"{made.project.campaign}, project {made.project.external_id}: {made.tasks} tasks there")
        for kind, count in made.differences.order_by("kind").values_list("kind").annotate(Count("pk")):
            self.stdout.write(f"  {count} × {Difference.Kind(kind).label}")
