"""What the older stack, MMSegmentation 1.2 on torch 2.1, does not have."""

import pytest
import torch
import torch.distributed.fsdp
from mmengine.runner import checkpoint

needs_export = pytest.mark.skipif(
    not hasattr(torch.export, 'Dim'), reason='the exporter and compiler of this torch know no free sizes'
)
needs_safe_loading = pytest.mark.skipif(
    not hasattr(torch.serialization, 'safe_globals') or not hasattr(checkpoint, 'get_torch_safe_globals'),
    reason='this torch or MMEngine cannot look into a checkpoint without loading it',
)
needs_sharding = pytest.mark.skipif(
    not hasattr(torch.distributed.fsdp, 'fully_shard'), reason='this torch shards no parameter by itself'
)
