"""Addresses of the exports pages and of the recipients' API."""

from django.urls import URLPattern, path

from exports import api, views

urlpatterns: list[URLPattern] = [
    path("pull.py", views.pull_program, name="pull_program"),
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
