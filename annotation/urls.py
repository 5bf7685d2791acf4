"""Addresses of the annotation pages."""

from django.urls import path

from annotation import dispute_views, payout_views, quality_views, views

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
    path("staff/disputes/", dispute_views.dispute_queue, name="disputes"),
    path("staff/disputes/<uuid:pk>/", dispute_views.dispute_decide, name="dispute_decide"),
    path("staff/annotators/", views.annotators, name="annotators"),
    path("staff/annotators/<uuid:pk>/pay/", payout_views.annotator_pay, name="annotator_pay"),
    path("staff/payouts/", payout_views.payout_runs, name="payout_runs"),
    path("staff/payouts/<int:pk>/", payout_views.payout_run, name="payout_run"),
    path("staff/payouts/<int:pk>/<slug:kind>/", payout_views.payout_file, name="payout_file"),
    path("staff/payments/<uuid:pk>/", payout_views.payment, name="payment"),
    path("work/annotations/<uuid:pk>/dispute/", dispute_views.dispute, name="dispute"),
    path("work/pay/", payout_views.payee, name="payee"),
    path("work/payments/<uuid:pk>/statement/", payout_views.statement, name="statement"),
    path("work/join/<str:token>/", views.work_join, name="work_join"),
    path("work/", views.work, name="work"),
    path("hooks/label-studio/", views.webhook, name="label_studio_webhook"),
    path("images/<slug:view_key>/", views.task_image, name="task_image"),
]
