"""Addresses of the collection pages."""

from django.urls import path

from collection import desk_views, holdings_views, library_views, purpose_views, staff_views, views, withdraw_views

urlpatterns = [
    path("calls/", views.calls, name="calls"),
    path("calls/<slug:slug>/", views.call, name="call"),
    path("calls/<slug:slug>/upload/", views.upload, name="upload"),
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
    path("staff/calls/new/", staff_views.call_add, name="call_add"),
    path("staff/images/<uuid:image_id>/model-release", holdings_views.model_release, name="model_release"),
    path("staff/licences/", holdings_views.licences, name="licences"),
    path("staff/purposes/<slug:code>/end/", purpose_views.purpose_end, name="purpose_end"),
    path("staff/holdings/", holdings_views.holdings_page, name="holdings"),
    path("staff/libraries/new/", library_views.library_import, name="library_import"),
    path("staff/libraries/<int:run_id>/", library_views.library_run, name="library_run"),
    path("staff/libraries/<int:run_id>/refused.csv", library_views.library_report, name="library_report"),
    path("staff/libraries/<int:run_id>/cancel/", library_views.library_cancel, name="library_cancel"),
]
