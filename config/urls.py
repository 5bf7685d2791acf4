"""Addresses. Each app owns its own; none overlap."""

from django.urls import include, path

urlpatterns = [
    path("", include("consent.urls")),
    path("", include("collection.urls")),
    path("", include("annotation.urls")),
    path("", include("exports.urls")),
    path("accounts/", include("allauth.urls")),
]

handler404 = "exports.api_pages.not_found"
