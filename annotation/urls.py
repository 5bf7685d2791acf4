"""Addresses of the annotation pages."""

from django.urls import path

from annotation import quality_views, views

urlpatterns = [
    path("staff/campaigns/new/", views.campaign_add, name="campaign_add"),
    path("staff/campaigns/<int:pk>/", views.campaign, name="campaign"),
    path("staff/campaigns/<int:pk>/quality/", quality_views.quality, name="quality"),
    path("staff/campaigns/<int:pk>/tasks/<uuid:asset_id>/", quality_views.label_review, name="label_review"),
    path(
        "staff/campaigns/<int:pk>/tasks/<uuid:asset_id>/photograph/",
        quality_views.label_photograph,
        name="label_photograph",
    ),
    path("staff/annotators/", views.annotators, name="annotators"),
    path("work/join/<str:token>/", views.work_join, name="work_join"),
    path("work/", views.work, name="work"),
    path("hooks/label-studio/", views.webhook, name="label_studio_webhook"),
    path("images/<slug:view_key>/", views.task_image, name="task_image"),
]
