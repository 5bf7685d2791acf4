from django.db import migrations, models

from consent.append_only import AppendOnly, Thaw


class Migration(migrations.Migration):
    """A licence may carry what the people depicted said about themselves."""

    dependencies = [("consent", "0011_known_harm")]
    operations = [
        Thaw("consent_licence"),
        migrations.AddField(
            model_name="licence",
            name="self_reported_attributes",
            field=models.BooleanField(
                default=False,
                help_text="It covers what the people depicted said about themselves, such as their skin tone",
            ),
        ),
        AppendOnly("consent_licence"),
    ]
