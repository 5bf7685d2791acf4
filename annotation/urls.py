"""Addresses of the annotation pages."""

from django.urls import path

from annotation import views

urlpatterns = [
    path("staff/campaigns/new/", views.campaign_add, name="campaign_add"),
    path("staff/campaigns/<int:pk>/", views.campaign, name="campaign"),
    path("staff/annotators/", views.annotators, name="annotators"),
    path("work/join/<str:token>/", views.work_join, name="work_join"),
    path("work/", views.work, name="work"),
    path("hooks/label-studio/", views.webhook, name="label_studio_webhook"),
    path("images/<slug:view_key>/", views.task_image, name="task_image"),
]
