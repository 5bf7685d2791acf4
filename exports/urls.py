"""Addresses of the exports pages and of the recipients' API."""

from django.urls import URLPattern, path

from exports import api, contributor_views, depicted_views, deviation_views, my_data_views, openness_views, views

urlpatterns: list[URLPattern] = [
    path("openness/", openness_views.openness_page, name="openness"),
    path("staff/records/", openness_views.records, name="records"),
    path("staff/records.json", openness_views.records_json, name="records_json"),
    path("depicted/", depicted_views.depicted, name="depicted"),
    path("depicted/<uuid:reference>/", depicted_views.depicted_received, name="depicted_received"),
    path("me/data/", my_data_views.my_data, name="my_data"),
    path("me/data/download", my_data_views.my_data_download, name="my_data_download"),
    path("me/data/<slug:question>/", my_data_views.my_data_ask, name="my_data_ask"),
    path("me/photos/", contributor_views.photos, name="photos"),
    path("certificates/<uuid:act>/", contributor_views.certificate, name="certificate"),
    path("certificates/<uuid:act>.json", contributor_views.certificate_json, name="certificate_json"),
    path("pull.py", views.pull_program, name="pull_program"),
    path("staff/datasets/", views.dataset_list, name="datasets"),
    path("staff/datasets/new/", views.dataset_add, name="dataset_add"),
    path("staff/datasets/<slug:slug>/", views.dataset_staff, name="dataset_staff"),
    path("staff/releases/<int:pk>/publish/", views.release_publish, name="release_publish"),
    path("staff/reports/", deviation_views.deviation_reports_list, name="deviation_reports"),
    path("staff/reports/<int:pk>/", deviation_views.deviation_report, name="deviation_report"),
    path("staff/reports/<int:pk>.json", deviation_views.deviation_report_json, name="deviation_report_json"),
    path("staff/reports/<int:pk>.pdf", deviation_views.deviation_report_pdf, name="deviation_report_pdf"),
    path("staff/reports/<int:pk>/actions/new/", deviation_views.action_add, name="action_add"),
    path("staff/actions/<int:pk>/done/", deviation_views.action_done, name="action_done"),
    path("staff/releases/<int:pk>/exception/", deviation_views.exception_write, name="exception_write"),
    path("staff/exceptions/<int:pk>/sign/", deviation_views.exception_sign, name="exception_sign"),
    path("staff/exceptions/<int:pk>/drop/", deviation_views.exception_drop, name="exception_drop"),
    path("staff/recipients/new/", views.recipient_add, name="recipient_add"),
    path("datasets/<slug:slug>/", views.dataset_page, name="dataset"),
    path("datasets/<slug:slug>/<str:version>/balance/", deviation_views.release_balance, name="release_balance"),
    path("api/datasets/<slug:slug>/", api.DatasetDetail.as_view()),
    path("api/datasets/<slug:slug>/notices/", api.NoticeList.as_view()),
    path("api/datasets/<slug:slug>/notices/<int:notice_id>/acknowledge/", api.NoticeAcknowledge.as_view()),
    path("api/datasets/<slug:slug>/<str:version>/", api.ReleaseDetail.as_view()),
    path("api/datasets/<slug:slug>/<str:version>/files/<path:path>", api.ReleaseFileContent.as_view()),
]
