"""Addresses of the consent pages."""

from django.urls import path

from consent import staff_views, views

urlpatterns = [
    path("", views.home, name="home"),
    path("me/", views.me, name="me"),
    path("me/about/", views.about, name="about"),
    path("me/receipts/<uuid:consent_id>.json", views.receipt_json, name="receipt_json"),
    path("me/receipts/<uuid:consent_id>.pdf", views.receipt_pdf, name="receipt_pdf"),
    path("me/withdraw/", views.withdraw, name="withdraw"),
    path("sign/<slug:form_slug>/", views.sign, name="sign"),
    path("keys/signing.pem", views.public_key, name="public_key"),
    path("ledger/checkpoint", views.checkpoint, name="checkpoint"),
    path("staff/", staff_views.staff, name="staff"),
    path("staff/forms/new/", staff_views.form_publish, name="form_publish"),
    path("staff/purposes/new/", staff_views.purpose_add, name="purpose_add"),
    path("staff/licences/", staff_views.licences, name="licences"),
    path("staff/licences/new/", staff_views.licence_add, name="licence_add"),
]
