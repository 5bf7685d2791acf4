import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

import exports.definition_models
from consent.append_only import Thaw


class Migration(migrations.Migration):
    """Published releases get a definition and tell what they follow; 0010 closes their table again."""

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("collection", "0015_begun"),
        ("exports", "0007_append_only_reports"),
    ]
    operations = [
        Thaw("exports_release", when="OLD.state = 'published'"),
        migrations.CreateModel(
            name="Definition",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("description", models.TextField()),
                ("limits", models.TextField(blank=True)),
                (
                    "basis",
                    models.CharField(
                        choices=[
                            ("any", "Contributed and licensed"),
                            ("consent", "Contributed, with a consent"),
                            ("licence", "From licensed libraries"),
                        ],
                        default="any",
                        max_length=10,
                    ),
                ),
                ("territory", models.CharField(blank=True, max_length=2)),
                ("shorter_side", models.PositiveIntegerField(blank=True, null=True)),
                ("least_annotators", models.PositiveSmallIntegerField(default=1)),
                ("least_agreement", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("controls", models.JSONField(blank=True, default=list)),
                (
                    "ratings",
                    models.CharField(
                        choices=[
                            ("mean", "the mean of what annotators gave"),
                            ("median", "the median of what annotators gave"),
                        ],
                        default="mean",
                        max_length=10,
                    ),
                ),
                (
                    "choices",
                    models.CharField(
                        choices=[
                            ("majority", "what more than half of the annotators chose, or else what most did"),
                            ("unanimous", "only what every annotator chose"),
                        ],
                        default="majority",
                        max_length=10,
                    ),
                ),
                ("train_percent", models.PositiveSmallIntegerField(default=70)),
                ("validation_percent", models.PositiveSmallIntegerField(default=15)),
                ("formats", models.JSONField(blank=True, default=exports.definition_models.default_formats)),
                ("longest_side", models.PositiveIntegerField(blank=True, null=True)),
                ("targets", models.JSONField(blank=True, default=list)),
                ("made_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "call",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="definitions",
                        to="collection.call",
                    ),
                ),
                (
                    "dataset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="definitions", to="exports.dataset"
                    ),
                ),
                (
                    "made_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="made_definitions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("dataset", "number"), name="definition_number_once"),
                    models.CheckConstraint(
                        condition=Q(("basis__in", ["any", "consent", "licence"])), name="definition_basis_known"
                    ),
                    models.CheckConstraint(
                        condition=Q(("train_percent__gte", 1)) & Q(("train_percent__lte", 100 - F("validation_percent"))),
                        name="definition_shares_add_up",
                    ),
                    models.CheckConstraint(
                        condition=Q(("least_annotators__gte", 1))
                        & (Q(("least_agreement__isnull", True)) | Q(least_agreement__lte=100, least_annotators__gte=2)),
                        name="definition_agreement_of_two",
                    ),
                    models.CheckConstraint(
                        condition=Q(ratings__in=["mean", "median"], choices__in=["majority", "unanimous"]),
                        name="definition_rules_known",
                    ),
                ]
            },
        ),
        migrations.AddField("release", "notes", models.TextField(blank=True, default=""), preserve_default=False),
        migrations.AddField(
            "release",
            "previous",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="next_drafts",
                to="exports.release",
            ),
        ),
        migrations.AddField(
            "release",
            "definition",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="releases",
                to="exports.definition",
            ),
        ),
    ]
