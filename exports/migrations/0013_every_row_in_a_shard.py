from django.db import migrations

from consent.append_only import AppendOnly, Thaw


def refuse_the_old_layout(apps, schema_editor):
    """What is in such a file could not be taken off after a withdrawal any more."""
    files = apps.get_model("exports", "ReleaseFile").objects.filter(carries_rows=True, shard="")
    if release := files.values_list("release__dataset__slug", "release__version").order_by("release").first():
        raise RuntimeError(
            f"{' '.join(release)} was built before rows lay by shard, which no published version of Likeness did. "
            "Start again with an empty database and storage, or go back to the version that built it."
        )


class Migration(migrations.Migration):
    dependencies = [("exports", "0012_download_token")]
    operations = [
        migrations.RunPython(refuse_the_old_layout, migrations.RunPython.noop),
        Thaw("exports_releasefile"),
        migrations.RemoveField("releasefile", "carries_rows"),
        AppendOnly("exports_releasefile"),
    ]
