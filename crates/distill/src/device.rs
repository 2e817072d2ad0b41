//! Which device computes.

use burn::backend::DispatchDevice;
use burn::tensor::Device;

use crate::Error;
use crate::recipe::DeviceChoice;

/// Opens a device.
///
/// # Errors
/// If this build has no engine for it; the text names the cargo feature that adds one.
pub fn open(choice: DeviceChoice) -> Result<Device, Error> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::flex()),
        #[cfg(feature = "cuda")]
        DeviceChoice::Cuda => Ok(Device::cuda(0)),
        #[cfg(feature = "rocm")]
        DeviceChoice::Rocm => Ok(Device::rocm(0)),
        #[cfg(feature = "metal")]
        DeviceChoice::Metal => Ok(Device::metal(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "vulkan")]
        DeviceChoice::Vulkan => Ok(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "webgpu")]
        DeviceChoice::Webgpu => Ok(Device::webgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(not(all(
            feature = "cuda",
            feature = "rocm",
            feature = "metal",
            feature = "vulkan",
            feature = "webgpu"
        )))]
        other => Err(Error::NoEngine { feature: other.feature() }),
    }
}

/// True for the pure-Rust CPU engine.
pub(crate) fn is_flex(device: &Device) -> bool {
    matches!(device.clone().without_autodiff().as_dispatch(), DispatchDevice::Flex(_))
}
