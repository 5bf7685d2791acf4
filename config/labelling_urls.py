"""Addresses at LABELLING_URL: photographs from us, and everything else is a question to Label Studio."""

from django.urls import path, re_path

from annotation import gateway_views, views

urlpatterns = [
    path("images/<slug:view_key>/", views.task_image, name="task_image"),
    path("gateway/carrier", gateway_views.carrier, name="carrier"),
    re_path(r"", gateway_views.label_studio, name="label_studio"),
]
handler400 = gateway_views.bad_request
handler404 = gateway_views.not_found
