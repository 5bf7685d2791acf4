"""Addresses of the consent pages."""

from django.urls import path

from consent import (
    account_views,
    demographics_views,
    form_views,
    ledger_views,
    licence_views,
    sign_views,
    staff_views,
    verify_views,
    views,
)

urlpatterns = [
    path("", views.home, name="home"),
    path("me/", views.me, name="me"),
    path("me/about/", views.about, name="about"),
    path("me/delete/", account_views.account_delete, name="account_delete"),
    path("me/receipts/<uuid:consent_id>.json", views.receipt_json, name="receipt_json"),
    path("me/receipts/<uuid:consent_id>.pdf", views.receipt_pdf, name="receipt_pdf"),
    path("me/about-me/", demographics_views.about_me, name="about_me"),
    path("me/about-me/delete/", demographics_views.about_me_delete, name="about_me_delete"),
    path("sign/<slug:form_slug>/", sign_views.sign, name="sign"),
    path("keys/signing.pem", ledger_views.public_key, name="public_key"),
    path("ledger/checkpoint", ledger_views.checkpoint, name="checkpoint"),
    path("ledger/consistency", ledger_views.consistency, name="consistency"),
    path("ledger/inclusion", ledger_views.inclusion, name="inclusion"),
    path("verify/", verify_views.verify, name="verify"),
    path("staff/", staff_views.staff, name="staff"),
    path("staff/fairness/", demographics_views.fairness, name="fairness"),
    path("staff/forms/", form_views.form_list, name="forms"),
    path("staff/forms/new/", form_views.form_publish, name="form_publish"),
    path("staff/forms/compare/", form_views.form_compare, name="form_compare"),
    path("staff/forms/texts/<int:text_id>/", form_views.text_page, name="text_page"),
    path("staff/forms/drafts/new/", form_views.draft_start, name="draft_start"),
    path("staff/forms/drafts/<int:draft_id>/", form_views.draft, name="draft"),
    path("staff/forms/drafts/<int:draft_id>/preview/", form_views.draft_preview, name="draft_preview"),
    path("staff/forms/drafts/<int:draft_id>/publish/", form_views.draft_publish, name="draft_publish"),
    path("staff/forms/drafts/<int:draft_id>/discard/", form_views.draft_discard, name="draft_discard"),
    path("staff/purposes/new/", form_views.purpose_add, name="purpose_add"),
    path("staff/purposes/<slug:code>/words/", form_views.purpose_words, name="purpose_words"),
    path("staff/licences/new/", licence_views.licence_add, name="licence_add"),
    path("staff/licences/<uuid:licence_id>/evidence", licence_views.licence_evidence, name="licence_evidence"),
]
