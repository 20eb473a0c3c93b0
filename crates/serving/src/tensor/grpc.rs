//! Tensors as the gRPC messages carry them, typed or raw.

use gristmill_model::{Predictions, Task};
use gristmill_proto::inference::model_infer_request::InferInputTensor;
use gristmill_proto::inference::model_infer_response::InferOutputTensor;
use gristmill_proto::inference::{InferTensorContents, ModelInferRequest, ModelInferResponse};

use super::{Data, Datatype, Tensor, labels, outputs};
use crate::ServingError;
use crate::deployed::Deployed;

/// The inputs of a request.
pub(crate) fn read_request(request: ModelInferRequest) -> Result<Vec<Tensor>, ServingError> {
    let raw = request.raw_input_contents;
    if !raw.is_empty() && raw.len() != request.inputs.len() {
        let problem = format!("has {} entries for {} inputs", raw.len(), request.inputs.len());
        return Err(ServingError::request("raw_input_contents", problem));
    }
    let mut raw = raw.into_iter();
    let inputs = request.inputs.into_iter().enumerate();
    inputs.map(|(index, input)| tensor(index, input, raw.next())).collect()
}

fn tensor(index: usize, input: InferInputTensor, raw: Option<Vec<u8>>) -> Result<Tensor, ServingError> {
    let at = format!("inputs[{index}]");
    let datatype = Datatype::read(&input.datatype, &at)?;
    let data = match (raw, input.contents) {
        (Some(_), Some(contents)) if contents != InferTensorContents::default() => {
            return Err(ServingError::request(at, "has contents although the request has raw_input_contents"));
        }
        (Some(raw), _) => of_raw(datatype, &raw).ok_or_else(|| {
            ServingError::request(
                format!("raw_input_contents[{index}]"),
                format!("is not a row of {}", datatype.as_str()),
            )
        })?,
        (None, contents) => of_contents(datatype, contents.unwrap_or_default(), &at)?,
    };
    Ok(Tensor { name: input.name, shape: input.shape, data })
}

fn of_contents(datatype: Datatype, contents: InferTensorContents, at: &str) -> Result<Data, ServingError> {
    let small = |values: Vec<i32>| Data::Int(values.into_iter().map(|v| Some(v.into())).collect());
    let unsigned = |values: Vec<u32>| Data::Int(values.into_iter().map(|v| Some(v.into())).collect());
    Ok(match datatype {
        Datatype::Bool => Data::Bool(contents.bool_contents.into_iter().map(Some).collect()),
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => small(contents.int_contents),
        Datatype::Int64 => Data::Int(contents.int64_contents.into_iter().map(Some).collect()),
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => unsigned(contents.uint_contents),
        Datatype::Uint64 => {
            let values = contents.uint64_contents.into_iter().map(|value| i64::try_from(value).map(Some));
            let values = values.collect::<Result<_, _>>();
            Data::Int(values.map_err(|_| ServingError::request(at, "has a number beyond 63 bits"))?)
        }
        Datatype::Fp16 => return Err(ServingError::request(at, "sends FP16, which only raw_input_contents can carry")),
        Datatype::Fp32 => Data::Float(contents.fp32_contents.into_iter().map(|v| Some(v.into())).collect()),
        Datatype::Fp64 => Data::Float(contents.fp64_contents.into_iter().map(Some).collect()),
        Datatype::Bytes => {
            let texts = contents.bytes_contents.into_iter().map(|bytes| String::from_utf8(bytes).map(Some));
            let texts = texts.collect::<Result<_, _>>();
            Data::Text(texts.map_err(|_| ServingError::request(at, "has bytes that are not UTF-8"))?)
        }
    })
}

/// Little-endian elements without padding; BYTES are each preceded by their length, u32.
fn of_raw(datatype: Datatype, raw: &[u8]) -> Option<Data> {
    fn each<const N: usize, T>(raw: &[u8], read: impl Fn([u8; N]) -> Option<T>) -> Option<Vec<Option<T>>> {
        let (chunks, rest) = raw.as_chunks::<N>();
        let values = chunks.iter().map(|chunk| read(*chunk).map(Some));
        if rest.is_empty() { values.collect() } else { None }
    }
    Some(match datatype {
        Datatype::Bool => Data::Bool(each(raw, |[b]: [u8; 1]| (b < 2).then_some(b == 1))?),
        Datatype::Int8 => Data::Int(each(raw, |b| Some(i8::from_le_bytes(b).into()))?),
        Datatype::Int16 => Data::Int(each(raw, |b| Some(i16::from_le_bytes(b).into()))?),
        Datatype::Int32 => Data::Int(each(raw, |b| Some(i32::from_le_bytes(b).into()))?),
        Datatype::Int64 => Data::Int(each(raw, |b| Some(i64::from_le_bytes(b)))?),
        Datatype::Uint8 => Data::Int(each(raw, |b| Some(u8::from_le_bytes(b).into()))?),
        Datatype::Uint16 => Data::Int(each(raw, |b| Some(u16::from_le_bytes(b).into()))?),
        Datatype::Uint32 => Data::Int(each(raw, |b| Some(u32::from_le_bytes(b).into()))?),
        Datatype::Uint64 => Data::Int(each(raw, |b| u64::from_le_bytes(b).try_into().ok())?),
        Datatype::Fp16 => Data::Float(each(raw, |b| Some(half(u16::from_le_bytes(b))))?),
        Datatype::Fp32 => Data::Float(each(raw, |b| Some(f32::from_le_bytes(b).into()))?),
        Datatype::Fp64 => Data::Float(each(raw, |b| Some(f64::from_le_bytes(b)))?),
        Datatype::Bytes => Data::Text(texts(raw)?),
    })
}

fn texts(mut raw: &[u8]) -> Option<Vec<Option<String>>> {
    let mut texts = Vec::new();
    while !raw.is_empty() {
        let (length, rest) = raw.split_first_chunk::<4>()?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        texts.push(Some(std::str::from_utf8(text).ok()?.to_owned()));
        raw = rest;
    }
    Some(texts)
}

/// The value of an IEEE 754 half.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (bits >> 10 & 0x1f, f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        // Subnormal: fraction × 2^−24.
        0 => fraction / 16_777_216.0,
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        // (1 + fraction / 2^10) × 2^(exponent − 15), exact in every step.
        _ => (1024.0 + fraction) * f64::from_bits((u64::from(exponent) + 1023 - 25) << 52),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

/// The answer, raw if the request was.
pub(crate) fn write_response(
    deployed: &Deployed,
    id: String,
    requested: &[String],
    raw: bool,
    predictions: &Predictions,
    first: u64,
) -> Result<ModelInferResponse, ServingError> {
    let rows = i64::try_from(predictions.rows()).unwrap_or(i64::MAX);
    let mut response = ModelInferResponse {
        model_name: deployed.name.clone(),
        model_version: deployed.version.to_string(),
        id,
        ..ModelInferResponse::default()
    };
    for name in outputs(requested, deployed.task())? {
        let (datatype, shape, contents) = match (name, deployed.task()) {
            ("probability", _) => {
                let width = i64::try_from(predictions.labels.len()).unwrap_or(i64::MAX);
                (Datatype::Fp64, vec![rows, width], floats(&predictions.probabilities))
            }
            ("prediction_id", _) => {
                let ids = (0..predictions.rows() as u64).map(|row| deployed.log.ids.text(first + row).into_bytes());
                (Datatype::Bytes, vec![rows], bytes(ids.collect()))
            }
            (_, Task::Regression) => (Datatype::Fp64, vec![rows], floats(&predictions.values)),
            _ => (Datatype::Bytes, vec![rows], bytes(labels(predictions).map(|l| l.as_bytes().to_vec()).collect())),
        };
        let mut tensor =
            InferOutputTensor { name: name.into(), datatype: datatype.as_str().into(), shape, ..Default::default() };
        if raw {
            response.raw_output_contents.push(to_raw(&contents));
        } else {
            tensor.contents = Some(contents);
        }
        response.outputs.push(tensor);
    }
    Ok(response)
}

fn floats(values: &[f64]) -> InferTensorContents {
    InferTensorContents { fp64_contents: values.to_vec(), ..InferTensorContents::default() }
}

fn bytes(values: Vec<Vec<u8>>) -> InferTensorContents {
    InferTensorContents { bytes_contents: values, ..InferTensorContents::default() }
}

fn to_raw(contents: &InferTensorContents) -> Vec<u8> {
    let mut raw: Vec<u8> = contents.fp64_contents.iter().flat_map(|value| value.to_le_bytes()).collect();
    for value in &contents.bytes_contents {
        raw.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
        raw.extend_from_slice(value);
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_have_their_values() {
        let cases = [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65_504.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x3555, 0.333_251_953_125),
        ];
        for (bits, value) in cases {
            assert_eq!(half(bits), value, "{bits:x}");
        }
        assert_eq!(half(0x7c00), f64::INFINITY);
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn raw_elements_are_little_endian_and_whole() {
        assert_eq!(of_raw(Datatype::Int16, &[1, 2, 255, 255]), Some(Data::Int(vec![Some(513), Some(-1)])));
        assert_eq!(of_raw(Datatype::Int16, &[1, 2, 3]), None);
        assert_eq!(of_raw(Datatype::Uint64, &[255; 8]), None);
        assert_eq!(of_raw(Datatype::Bool, &[0, 1, 2]), None);
        let texts = [2, 0, 0, 0, b'h', b'i', 0, 0, 0, 0];
        assert_eq!(of_raw(Datatype::Bytes, &texts), Some(Data::Text(vec![Some("hi".into()), Some(String::new())])));
        for cut in 1..texts.len() {
            // Whole after the first text, which is six bytes.
            assert_eq!(of_raw(Datatype::Bytes, &texts[..cut]).is_some(), cut == 6, "{cut}");
        }
    }
}
