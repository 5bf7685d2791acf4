"""Addresses of the collection pages."""

from django.urls import path

from collection import (
    desk_views,
    face_views,
    harm_views,
    holdings_views,
    purpose_views,
    screening_views,
    staff_views,
    views,
    withdraw_views,
)

urlpatterns = [
    path("calls/", views.calls, name="calls"),
    path("calls/<slug:slug>/", views.call, name="call"),
    path("calls/<slug:slug>/upload/", views.upload, name="upload"),
    path("me/withdraw/", withdraw_views.withdraw, name="withdraw"),
    path("me/photos/remove/", withdraw_views.photos_remove, name="photos_remove"),
    path("me/photos/erase/", withdraw_views.kept_erase, name="kept_erase"),
    path("me/photos/<uuid:image_id>/original", views.photo_original, name="photo_original"),
    path("me/photos/<uuid:image_id>/thumb", views.photo_thumb, name="photo_thumb"),
    path("me/photos/<uuid:image_id>/faces/", face_views.photo_faces, name="photo_faces"),
    path("staff/review/<uuid:image_id>/faces/", face_views.review_faces, name="review_faces"),
    path("staff/screening/", screening_views.screening_page, name="screening"),
    path("staff/review/", staff_views.review_queue, name="review_queue"),
    path("staff/review/<uuid:image_id>/", staff_views.review_image, name="review_image"),
    path("staff/images/<uuid:image_id>/preview", staff_views.staff_preview, name="staff_preview"),
    path("staff/desk/", desk_views.desk_list, name="desk"),
    path("staff/desk/harm/", harm_views.harm_cases, name="harm_cases"),
    path("staff/desk/harm/<uuid:request_id>/", harm_views.harm_case, name="harm_case"),
    path("staff/desk/harm/<uuid:request_id>/<uuid:image_id>/preview", harm_views.harm_preview, name="harm_preview"),
    path("staff/desk/<uuid:request_id>/", desk_views.desk_request, name="desk_request"),
    path("staff/desk/<uuid:request_id>/<uuid:image_id>/preview", desk_views.desk_preview, name="desk_preview"),
    path("staff/calls/new/", staff_views.call_add, name="call_add"),
    path("staff/images/<uuid:image_id>/model-release", holdings_views.model_release, name="model_release"),
    path("staff/licences/", holdings_views.licences, name="licences"),
    path("staff/purposes/<slug:code>/end/", purpose_views.purpose_end, name="purpose_end"),
    path("staff/holdings/", holdings_views.holdings_page, name="holdings"),
    path("staff/libraries/new/", staff_views.library_import, name="library_import"),
]
