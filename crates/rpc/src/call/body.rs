//! The body of an answer on its way out: it ends in time, survives a panic, and is counted once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use ::http::HeaderMap;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Code, Status};

use super::{Gate, draining, out_of_time, panicked};
use crate::auth::Standing;
use crate::error::Problem;

/// One call under way. Counts itself when it ends, however that happens.
#[derive(Debug)]
pub(super) struct Call {
    gate: Arc<Gate>,
    method: &'static str,
    began: Instant,
    /// CANCELLED until the call ends some other way: a caller that goes away drops the call.
    code: Code,
    /// Given back when the call ends.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Call {
    pub(super) fn new(gate: Arc<Gate>, method: &'static str, permit: Option<OwnedSemaphorePermit>) -> Self {
        gate.metrics.started();
        Self { gate, method, began: Instant::now(), code: Code::Cancelled, _permit: permit }
    }

    pub(super) fn method(&self) -> &'static str {
        self.method
    }

    pub(super) fn ends_with(&mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.gate.metrics.ended();
        self.gate.metrics.rpc(self.method, self.code, self.began.elapsed());
    }
}

/// What may end an answer before its service does.
pub(super) struct Limits {
    pub(super) deadline: Option<Pin<Box<Sleep>>>,
    pub(super) cutoff: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Ready once what the caller showed is good no more.
    pub(super) standing: Option<Standing>,
}

impl Limits {
    /// Ready once the answer must end, with what to say.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Problem> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(out_of_time());
        }
        if let Some(standing) = &mut self.standing
            && let Poll::Ready(problem) = standing.as_mut().poll(cx)
        {
            return Poll::Ready(problem);
        }
        self.cutoff.as_mut().poll(cx).map(|()| draining())
    }
}

/// The service's body under its limits.
pub(super) struct GuardedBody {
    /// `None` once it has ended or was ended.
    inner: Option<axum::body::Body>,
    limits: Limits,
    call: Option<Call>,
}

impl GuardedBody {
    pub(super) fn new(inner: axum::body::Body, limits: Limits, call: Call) -> Self {
        Self { inner: Some(inner), limits, call: Some(call) }
    }

    /// Ends the stream with `problem` as its status.
    fn end(&mut self, problem: Problem) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.inner = None;
        let status = Status::from(problem);
        if let Some(mut call) = self.call.take() {
            call.ends_with(status.code());
        }
        Poll::Ready(Some(Ok(Frame::trailers(trailers(&status)))))
    }
}

impl Body for GuardedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll_frame(cx)));
        match polled {
            Err(panic) => {
                let problem = panicked(this.call.as_ref().map_or("", Call::method), panic.as_ref());
                this.end(problem)
            }
            Ok(Poll::Pending) => match this.limits.poll_over(cx) {
                Poll::Ready(problem) => this.end(problem),
                Poll::Pending => Poll::Pending,
            },
            Ok(Poll::Ready(frame)) => {
                match &frame {
                    Some(Ok(frame)) => {
                        if let Some(trailers) = frame.trailers_ref() {
                            finish(&mut this.call, code_of(trailers).unwrap_or(Code::Unknown));
                        }
                    }
                    Some(Err(_)) => finish(&mut this.call, Code::Internal),
                    // A body without trailers: the status was in the headers, and was noted there.
                    None => drop(this.call.take()),
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

fn finish(call: &mut Option<Call>, code: Code) {
    if let Some(mut call) = call.take() {
        call.ends_with(code);
    }
}

/// A status as a stream's last word.
pub(crate) fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // A status that cannot be written as headers still ends the stream, only without its text.
    if status.add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", ::http::HeaderValue::from(status.code() as i32));
    }
    trailers
}

/// The status that headers or trailers carry.
pub(super) fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|value| Code::from_bytes(value.as_bytes()))
}
