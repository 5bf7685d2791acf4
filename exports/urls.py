"""Addresses of the exports pages and of the recipients' API."""

from django.urls import URLPattern, path

from exports import api, contributor_views, costs_views, depicted_views, my_data_views, openness_views, views

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
    path("staff/costs/", costs_views.costs_page, name="costs"),
    path("staff/datasets/", views.dataset_list, name="datasets"),
    path("staff/datasets/new/", views.dataset_add, name="dataset_add"),
    path("staff/datasets/<slug:slug>/", views.dataset_staff, name="dataset_staff"),
    path("staff/releases/<int:pk>/publish/", views.release_publish, name="release_publish"),
    path("staff/recipients/new/", views.recipient_add, name="recipient_add"),
    path("datasets/<slug:slug>/", views.dataset_page, name="dataset"),
    path("api/datasets/<slug:slug>/", api.DatasetDetail.as_view()),
    path("api/datasets/<slug:slug>/notices/", api.NoticeList.as_view()),
    path("api/datasets/<slug:slug>/notices/<int:notice_id>/acknowledge/", api.NoticeAcknowledge.as_view()),
    path("api/datasets/<slug:slug>/<str:version>/", api.ReleaseDetail.as_view()),
    path("api/datasets/<slug:slug>/<str:version>/files/<path:path>", api.ReleaseFileContent.as_view()),
]
