"""Addresses of the collection pages."""

from django.urls import path

from collection import (
    desk_views,
    holdings_views,
    purpose_views,
    review_times_views,
    review_views,
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
    path("staff/review/", review_views.review_queue, name="review_queue"),
    path("staff/review/queues/<slug:queue>/", review_views.review_list, name="review_list"),
    path("staff/review/queues/<slug:queue>/start/", review_views.review_start, name="review_start"),
    path("staff/review/<uuid:image_id>/", review_views.review_image, name="review_image"),
    path("staff/review/<uuid:image_id>/take/", review_views.review_take, name="review_take"),
    path("staff/review/<uuid:image_id>/leave/", review_views.review_leave, name="review_leave"),
    path("staff/review/<uuid:image_id>/beat/", review_views.review_beat, name="review_beat"),
    path("staff/review/<uuid:image_id>/full", review_views.review_full, name="review_full"),
    path("staff/review/undo/<int:decision_id>/", review_views.review_undo, name="review_undo"),
    path("staff/review/times/", review_times_views.review_times, name="review_times"),
    path("staff/review/times.csv", review_times_views.review_times_csv, name="review_times_csv"),
    path("staff/images/<uuid:image_id>/preview", staff_views.staff_preview, name="staff_preview"),
    path("staff/desk/", desk_views.desk_list, name="desk"),
    path("staff/desk/<uuid:request_id>/", desk_views.desk_request, name="desk_request"),
    path("staff/desk/<uuid:request_id>/<uuid:image_id>/preview", desk_views.desk_preview, name="desk_preview"),
    path("staff/calls/new/", staff_views.call_add, name="call_add"),
    path("staff/images/<uuid:image_id>/model-release", holdings_views.model_release, name="model_release"),
    path("staff/licences/", holdings_views.licences, name="licences"),
    path("staff/purposes/<slug:code>/end/", purpose_views.purpose_end, name="purpose_end"),
    path("staff/holdings/", holdings_views.holdings_page, name="holdings"),
    path("staff/libraries/new/", staff_views.library_import, name="library_import"),
]
