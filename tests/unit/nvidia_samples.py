"""What boards and programs were seen to say, word for word, with where it was published.

Names of repositories are of GitHub's public ones.
"""

from __future__ import annotations

# rbonghi/jetson_stats, issue 711, an AGX Thor; the others have the same form.
RELEASE_38 = (
    "# R38 (release), REVISION: 2.0, GCID: 41844464, BOARD: generic, EABI: aarch64, "
    "DATE: Fri Aug 22 00:55:42 UTC 2025"
)
RELEASE_36 = (
    "# R36 (release), REVISION: 4.4, GCID: 41062509, BOARD: generic, EABI: aarch64, "
    "DATE: Mon Jun 16 16:07:13 UTC 2025\n# KERNEL_VARIANT: oot"
)
RELEASE_35 = "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64"
COMPATIBLE_THOR = "nvidia,p4071-0000+p3834-0008\0nvidia,p3834-0008\0nvidia,tegra264\0"
COMPATIBLE_ORIN = "nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0"

# Test data of public parsers: an AGX Orin on R35 without power for its GPU and CV; an Orin Nano on
# R36.
TEGRASTATS_35 = (
    "04-11-2025 10:36:27 RAM 4321/62801MB (lfb 1759x4MB) SWAP 19/31400MB (cached 0MB) CPU "
    "[0%@729,0%@729,0%@729,0%@729,0%@729,0%@729,0%@729,0%@729,0%@729,0%@729,0%@729,0%@729] "
    "EMC_FREQ 0%@2133 GR3D_FREQ 0%@[0,0] VIC_FREQ 729 APE 174 CV0@-256C CPU@44.562C Tboard@32C "
    "SOC2@40.093C Tdiode@33C SOC0@41.093C CV1@-256C GPU@-256C tj@44.343C SOC1@41.25C CV2@-256C "
    "VDD_GPU_SOC 2340mW/2340mW VDD_CPU_CV 390mW/390mW VIN_SYS_5V0 4025mW/4025mW NC 0mW/0mW "
    "VDDQ_VDD2_1V8AO 301mW/301mW NC 0mW/0mW"
)
TEGRASTATS_36 = (
    "10-08-2026 04:38:21 RAM 1343/7620MB (lfb 157x4MB) SWAP 165/3810MB (cached 3MB) "
    "CPU [0%@1497,0%@729,0%@729,0%@729,0%@729,0%@729] EMC_FREQ 15%@204 "
    "GR3D_FREQ 0%@[305] NVDEC off NVJPG off VIC off OFA off APE 200 "
    "cpu@48.562C soc2@46.593C soc0@48.625C gpu@49.625C tj@49.312C soc1@47.937C "
    "VDD_IN 5251mW/8535mW VDD_CPU_GPU_CV 512mW/1944mW VDD_SOC 2720mW/3659mW"
)
# rbonghi/jetson_stats, pull request 894: an AGX Orin on R39.2, shortened there.
TEGRASTATS_39 = (
    "07-25-2026 09:08:28 RAM 20642/62817MB (lfb 1x2MB) CPU [23%@2201,10%@2201,...] "
    "EMC_FREQ 3%@3199 GR3D_FREQ 0%@[1300,1300] NVENC0 off NVDEC0 off ... APE 174 "
    "cpu@52.968C/52.968C ..."
)
# wendylabsinc/WendyOS, pull request 1316: an AGX Thor on R39.2.
TEGRASTATS_THOR = (
    "07-02-2026 13:45:44 RAM 36529/125749MB (lfb 12x4MB) SWAP 11/4096MB (cached 9MB) "
    "CPU [2%@972,1%@972,0%@972,0%@972,0%@972,0%@972,0%@972,0%@972,0%@972,0%@972,0%@972,0%@972,"
    "0%@972,2%@972] cpu@60.406C tj@63.281C soc012@58.468C gpu@62.906C soc345@63.281C "
    "VDD_GPU 37528mW/37528mW/37528mW VDD_CPU_SOC_MSS 18961mW/18961mW/18961mW "
    "VIN_SYS_5V0 18331mW/18331mW/18331mW VIN 87426mW/43713mW/87426mW"
)
# Composed: the form without a load, which Thor on R38 prints by rbonghi/jetson_stats, pull
# request 894.
TEGRASTATS_ARRAY = (
    "RAM 264/28409MB (lfb 7004x4MB) EMC_FREQ @2133 GR3D_FREQ @[1000,1000,1000] tj@41C"
)

# NVIDIA-AI-IOT/jetbot, issue 49, not as root; anduril/jetpack-nixos, pull request 460, on Thor.
NVPMODEL_USER = """NV Power Mode: 5W
1
NVPM ERROR: Error opening /sys/kernel/nvpmodel_emc_cap/emc_iso_cap: 13
NVPM ERROR: failed to read PARAM EMC: ARG MAX_FREQ: PATH /sys/kernel/nvpmodel_emc_cap/emc_iso_cap
"""
NVPMODEL_THOR = "NV Power Mode: MAXN\n0\n"
# The file of an Orin Nano Super, its headings.
NVPMODEL_CONF = """< PM_CONFIG DEFAULT=2 >
< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=1 NAME=25W >
< POWER_MODEL ID=2 NAME=MAXN_SUPER >
< POWER_MODEL ID=3 NAME=7W >
"""

# /proc/driver/nvidia/version: JetPack 6.2; zzzhouuu/truenas-nvidia-drivers, issue 19.
DRIVER_ORIN = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release Build  "
    "(buildbrain@mobile-u64-6336-d8000)  Tue Jan  7 17:35:12 PST 2025\n"
    "GCC version:  collect2: error: ld returned 1 exit status"
)
DRIVER_PC = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.173.02  Tue Jun 23 08:38:17 UTC 2026\n"
    "GCC version:  gcc version 14.2.0 (Ubuntu 14.2.0-4ubuntu2~24.04.1)"
)

# nvidia-smi --help-query-gpu, parts: netdata/netdata, issue 10362, of a driver without compute_cap.
# The second is the first with the names that drivers have from 535 on (influxdata/telegraf, pull
# request 19455).
HELP_OLD = """
"name" or "gpu_name"
The official product name of the GPU. This is an alphanumeric string. For all products.

"pstate"
The current performance state for the GPU. States range from P0 (maximum performance) to P12 (minimum performance).

Section about clocks_throttle_reasons properties
Retrieves information about factors that are reducing the frequency of clocks. If all throttle reasons are returned as "Not Active" it means that clocks are running as high as possible.

"clocks_throttle_reasons.supported"
Bitmask of supported clock throttle reasons. See nvml.h for more details.

"clocks_throttle_reasons.active"
Bitmask of active clock throttle reasons. See nvml.h for more details.

"clocks.current.sm" or "clocks.sm"
Current frequency of SM (Streaming Multiprocessor) clock.
"""  # noqa: E501 - as it is printed
HELP_NEW = (
    HELP_OLD.replace("clocks_throttle_reasons", "clocks_event_reasons")
    + """
"compute_cap"
The CUDA Compute Capability, represented as Major DOT Minor.
"""
)

# plambe/zabbix-nvidia-smi-multi-gpu, issue 17; Chen-zexi/vllm-cli, pull request 11;
# triton-inference-server/server, pull request 8070.
CSV_ORIN = "0, Orin (nvgpu), [N/A], [N/A], [N/A], [N/A], [N/A]"
CSV_TWO = """7.0, Default, 570.86.15, NVIDIA TITAN V, 0
8.9, Default, 570.86.15, NVIDIA RTX 5880 Ada Generation, 1
"""

# What nvidia-smi says when it fails: intel/llvm, issue 17614; its own words elsewhere.
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch"
NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that "
    "the latest NVIDIA driver is installed and running."
)
NO_DEVICE = "No devices were found"

# Composed of the packages and versions that dpkg lists on JetPack 6.2; libnvinfer8 was removed, not
# purged.
DPKG = """Package: nvidia-jetpack
Status: install ok installed
Priority: standard
Architecture: arm64
Version: 6.2+b77
Description: NVIDIA Jetpack Meta Package
 Version: of nothing

Package: libnvinfer10
Status: install ok installed
Version: 10.3.0.30-1+cuda12.5

Package: libnvinfer8
Status: deinstall ok config-files
Version: 8.6.2.3-1+cuda12.2

Package: python3-libnvinfer
Status: install ok installed
Version: 10.3.0.30-1+cuda12.5

Package: cuda-cudart-12-6
Status: install ok installed
Version: 12.6.68-1
"""
CUDA_JSON = """{
   "cuda" : {
      "name" : "CUDA SDK",
      "version" : "12.6.11"
   },
   "cuda_cudart" : {
      "name" : "CUDA Runtime (cudart)",
      "version" : "12.6.68"
   }
}"""
