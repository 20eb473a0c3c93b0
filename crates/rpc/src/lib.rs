//! Channels local and remote, the server builder, authorization, and errors to and from gRPC status.
