// What of Uppy the upload page uses (collection/static/collection/uploads.js), as one global.
import AwsS3 from "@uppy/aws-s3";
import Uppy from "@uppy/core";
import "@uppy/core/css/style.css";
import Dashboard from "@uppy/dashboard";
import "@uppy/dashboard/css/style.css";
import GoldenRetriever from "@uppy/golden-retriever";
import Tus from "@uppy/tus";

window.LikenessUppy = { AwsS3, Dashboard, GoldenRetriever, Tus, Uppy };
