from django.db import migrations

from consent.append_only import AppendOnly

TABLES = (
    "consent_purpose",
    "consent_formtext",
    "consent_formtextpurpose",
    "consent_consent",
    "consent_consentpurpose",
    "consent_withdrawal",
    "consent_licence",
    "consent_licencepurpose",
    "consent_ledgerentry",
    "consent_ledgerleaf",
    "consent_checkpoint",
)


class Migration(migrations.Migration):
    dependencies = [("consent", "0001_initial")]
    operations = [AppendOnly(table) for table in TABLES]
