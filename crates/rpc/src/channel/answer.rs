//! The body of an answer on its way in: it ends in time, and says why when the connection breaks.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;
use tonic::{Code, Status};

use super::connect::Connection;
use super::pool::UnderWay;
use crate::call::{out_of_time, trailers};
use crate::tls::Fault;

/// The server's body, the place it takes on its replica, and the call's deadline.
pub(super) struct Answer {
    /// `None` once it has ended or was ended.
    inner: Option<Incoming>,
    connection: Connection,
    deadline: Option<Pin<Box<Sleep>>>,
    _under_way: UnderWay,
}

impl Answer {
    pub(super) fn new(
        inner: Incoming,
        connection: Connection,
        deadline: Option<Pin<Box<Sleep>>>,
        under_way: UnderWay,
    ) -> Self {
        Self { inner: Some(inner), connection, deadline, _under_way: under_way }
    }
}

/// The status of an error below gRPC: HTTP/2's own codes as gRPC maps them, everything else is a lost
/// connection.
pub(super) fn broken(error: hyper::Error, connection: &Connection) -> Result<Status, Fault> {
    let text = crate::error::chain(&error);
    let fault = connection.fault();
    if fault.is_none() || !connection.send.is_closed() {
        let status = Status::from_error(Box::new(error));
        if !matches!(status.code(), Code::Unknown | Code::Internal) {
            return Ok(status);
        }
    }
    Err(fault.unwrap_or_else(|| Fault::passing("CONNECTION_LOST", format!("the connection is lost: {text}"))))
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        let status = match Pin::new(inner).poll_frame(cx) {
            Poll::Ready(Some(Err(error))) => {
                broken(error, &this.connection).unwrap_or_else(|fault| fault.problem().into())
            }
            Poll::Ready(Some(Ok(frame))) => return Poll::Ready(Some(Ok(frame))),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => match &mut this.deadline {
                Some(deadline) => match deadline.as_mut().poll(cx) {
                    Poll::Ready(()) => out_of_time().into(),
                    Poll::Pending => return Poll::Pending,
                },
                None => return Poll::Pending,
            },
        };
        this.inner = None;
        // As trailers: tonic tells an error of the body itself twice.
        Poll::Ready(Some(Ok(Frame::trailers(trailers(&status)))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}
