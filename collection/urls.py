"""Addresses of the collection pages."""

from django.urls import path

from collection import (
    call_views,
    desk_views,
    holdings_views,
    multipart_views,
    purpose_views,
    staff_views,
    tus_views,
    views,
    withdraw_views,
)

urlpatterns = [
    path("calls/", views.calls, name="calls"),
    path("calls/<slug:slug>/", views.call, name="call"),
    path("calls/<slug:slug>/upload/", views.upload, name="upload"),
    path("calls/<slug:slug>/uploads/", tus_views.uploads_create, name="uploads_create"),
    path("me/uploads/<uuid:upload_id>/", tus_views.upload_bytes, name="upload_bytes"),
    path("calls/<slug:slug>/uploads/sign/", multipart_views.uploads_sign, name="uploads_sign"),
    path("me/uploads/<uuid:upload_id>/arrived/", multipart_views.upload_arrived, name="upload_arrived"),
    path("me/withdraw/", withdraw_views.withdraw, name="withdraw"),
    path("me/photos/remove/", withdraw_views.photos_remove, name="photos_remove"),
    path("me/photos/erase/", withdraw_views.kept_erase, name="kept_erase"),
    path("me/photos/<uuid:image_id>/original", views.photo_original, name="photo_original"),
    path("me/photos/<uuid:image_id>/thumb", views.photo_thumb, name="photo_thumb"),
    path("staff/review/", staff_views.review_queue, name="review_queue"),
    path("staff/review/<uuid:image_id>/", staff_views.review_image, name="review_image"),
    path("staff/images/<uuid:image_id>/preview", staff_views.staff_preview, name="staff_preview"),
    path("staff/desk/", desk_views.desk_list, name="desk"),
    path("staff/desk/<uuid:request_id>/", desk_views.desk_request, name="desk_request"),
    path("staff/desk/<uuid:request_id>/<uuid:image_id>/preview", desk_views.desk_preview, name="desk_preview"),
    path("staff/calls/", call_views.call_list, name="call_list"),
    path("staff/calls/new/", call_views.call_add, name="call_add"),
    path("staff/calls/<slug:slug>/", call_views.call_progress, name="call_progress"),
    path("staff/calls/<slug:slug>/edit/", call_views.call_edit, name="call_edit"),
    path("staff/calls/<slug:slug>/close/", call_views.call_close, name="call_close"),
    path("staff/images/<uuid:image_id>/model-release", holdings_views.model_release, name="model_release"),
    path("staff/licences/", holdings_views.licences, name="licences"),
    path("staff/purposes/<slug:code>/end/", purpose_views.purpose_end, name="purpose_end"),
    path("staff/holdings/", holdings_views.holdings_page, name="holdings"),
    path("staff/libraries/new/", staff_views.library_import, name="library_import"),
]
