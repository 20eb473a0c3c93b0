//! What may go wrong between a client and the server.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use s3s::service::S3Service;
use tokio::sync::Notify;

/// How one request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireFault {
    /// Nothing is done; this status is the answer.
    Status(u16),
    /// All is done, then the connection is cut before the answer.
    LoseReply,
    /// All is done; of the answer's body only the first half comes, then the connection is cut.
    CutBody,
    /// All is done; one bit of the answer's body is another.
    FlipBit,
    /// Nothing is done and no answer ever comes.
    Stall,
}

#[derive(Debug)]
struct Planned {
    method: Method,
    fault: WireFault,
    skip: usize,
    times: usize,
}

/// The plan of faults, and what became of it.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    planned: Mutex<Vec<Planned>>,
    fired: AtomicUsize,
    requests: AtomicUsize,
    /// Told of every request that comes and every answer that goes.
    pub(crate) changed: Notify,
}

pub(crate) type Body = BoxBody<Bytes, io::Error>;

impl Wire {
    pub(crate) fn inject(&self, method: Method, fault: WireFault, skip: usize, times: usize) {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).push(Planned { method, fault, skip, times });
    }

    pub(crate) fn heal(&self) {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn fired(&self) -> usize {
        self.fired.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn next_fault(&self, method: &Method) -> Option<WireFault> {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let next = planned.iter_mut().find(|plan| plan.times > 0 && plan.method == *method)?;
        if next.skip > 0 {
            next.skip -= 1;
            return None;
        }
        next.times -= 1;
        self.fired.fetch_add(1, Ordering::SeqCst);
        Some(next.fault)
    }

    pub(crate) async fn answer(&self, request: Request<Incoming>, service: &S3Service) -> io::Result<Response<Body>> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let fault = self.next_fault(request.method());
        self.changed.notify_waiters();
        match fault {
            Some(WireFault::Status(code)) => return status(code),
            Some(WireFault::Stall) => std::future::pending::<()>().await,
            _ => {}
        }
        let answer = hyper::service::Service::call(service, request).await;
        let answer = answer.map_err(|error| io::Error::other(format!("{error:?}")))?;
        self.changed.notify_waiters();
        match fault {
            Some(WireFault::LoseReply) => Err(io::Error::other("the answer is lost")),
            Some(WireFault::CutBody) => cut(answer.map(|body| body.map_err(io::Error::other).boxed())).await,
            Some(WireFault::FlipBit) => flip(answer.map(|body| body.map_err(io::Error::other).boxed())).await,
            _ => Ok(answer.map(|body| body.map_err(io::Error::other).boxed())),
        }
    }
}

fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed()
}

fn status(code: u16) -> io::Result<Response<Body>> {
    let body = format!("<Error><Code>Injected</Code><Message>answered with {code} on request</Message></Error>");
    Response::builder().status(code).body(whole(body)).map_err(io::Error::other)
}

async fn cut(answer: Response<Body>) -> io::Result<Response<Body>> {
    let (parts, body) = answer.into_parts();
    let bytes = body.collect().await?.to_bytes();
    let half = bytes.slice(..bytes.len() / 2);
    let frames = [Ok(Frame::data(half)), Err(io::Error::other("the answer is cut"))];
    Ok(Response::from_parts(parts, BodyExt::boxed(StreamBody::new(futures::stream::iter(frames)))))
}

async fn flip(answer: Response<Body>) -> io::Result<Response<Body>> {
    let (parts, body) = answer.into_parts();
    let mut bytes = body.collect().await?.to_bytes().to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 4;
    }
    Ok(Response::from_parts(parts, whole(bytes)))
}
