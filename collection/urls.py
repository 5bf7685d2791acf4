"""Addresses of the collection pages."""

from django.urls import path

from collection import staff_views, views

urlpatterns = [
    path("calls/", views.calls, name="calls"),
    path("calls/<slug:slug>/", views.call, name="call"),
    path("calls/<slug:slug>/upload/", views.upload, name="upload"),
    path("me/photos/", views.photos, name="photos"),
    path("me/photos/<uuid:image_id>/thumb", views.photo_thumb, name="photo_thumb"),
    path("staff/review/", staff_views.review_queue, name="review_queue"),
    path("staff/review/<uuid:image_id>/", staff_views.review_image, name="review_image"),
    path("staff/images/<uuid:image_id>/preview", staff_views.staff_preview, name="staff_preview"),
    path("staff/calls/new/", staff_views.call_add, name="call_add"),
    path("staff/libraries/new/", staff_views.library_import, name="library_import"),
]
