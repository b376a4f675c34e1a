//! Receive: OTLP over gRPC and HTTP, answered only after a synced commit.
