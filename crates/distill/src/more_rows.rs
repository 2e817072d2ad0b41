//! Stub.
use crate::Error;
use crate::data::LabelledData;
use crate::recipe::MoreSpec;
use attar_text::labelled::Example;
use attar_text::random::Streams;
pub(crate) fn collect(
    _spec: &MoreSpec,
    _data: &LabelledData,
    _mask: Option<&str>,
    _streams: &Streams,
    _notes: &mut Vec<String>,
) -> Result<Vec<Example>, Error> {
    Ok(Vec::new())
}
