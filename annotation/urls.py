"""Addresses of the annotation pages."""

from django.urls import path
from django.views.generic import RedirectView

from annotation import dispute_views, joining_views, payout_views, quality_views, views

urlpatterns = [
    path("staff/campaigns/", RedirectView.as_view(pattern_name="campaign_add")),  # the list stands there
    path("staff/campaigns/new/", views.campaign_add, name="campaign_add"),
    path("staff/campaigns/<int:pk>/", views.campaign, name="campaign"),
    path("staff/campaigns/<int:pk>/quality/", quality_views.quality, name="quality"),
    path("staff/campaigns/<int:pk>/tasks/<uuid:asset_id>/", quality_views.label_review, name="label_review"),
    path(
        "staff/campaigns/<int:pk>/tasks/<uuid:asset_id>/photograph/",
        quality_views.label_photograph,
        name="label_photograph",
    ),
    path("staff/campaigns/<int:pk>/training/", joining_views.training_add, name="training_add"),
    path("staff/campaigns/<int:pk>/groups/", joining_views.group_labels, name="group_labels"),
    path("staff/work-terms/", joining_views.work_terms_publish, name="work_terms_publish"),
    path("staff/disputes/", dispute_views.dispute_queue, name="disputes"),
    path("staff/disputes/<uuid:pk>/", dispute_views.dispute_decide, name="dispute_decide"),
    path("staff/annotators/", views.annotators, name="annotators"),
    path("staff/annotators/<uuid:pk>/pay/", payout_views.annotator_pay, name="annotator_pay"),
    path("staff/payouts/", payout_views.payout_runs, name="payout_runs"),
    path("staff/payouts/<int:pk>/", payout_views.payout_run, name="payout_run"),
    path("staff/payouts/<int:pk>/<slug:kind>/", payout_views.payout_file, name="payout_file"),
    path("staff/pay-proposals/", payout_views.pay_proposals, name="pay_proposals"),
    path("staff/payments/<uuid:pk>/", payout_views.payment, name="payment"),
    path("work/annotations/<uuid:pk>/dispute/", dispute_views.dispute, name="dispute"),
    path("work/pay/", payout_views.payee, name="payee"),
    path("work/payments/<uuid:pk>/statement/", payout_views.statement, name="statement"),
    path("work/join/<str:token>/", joining_views.work_join, name="work_join"),
    path("work/terms/", joining_views.work_terms, name="work_terms"),
    path("work/languages/", joining_views.work_languages, name="work_languages"),
    path("work/about-me/", joining_views.work_about, name="work_about"),
    path("work/about-me/delete/", joining_views.work_about_delete, name="work_about_delete"),
    path("work/training/<int:pk>/", joining_views.work_training, name="work_training"),
    path("work/", views.work, name="work"),
    path("hooks/label-studio/", views.webhook, name="label_studio_webhook"),
    path("images/<slug:view_key>/", views.task_image, name="task_image"),
]
