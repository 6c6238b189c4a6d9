# HyperCLIP on the procedural sky, rendered during training without any files.
_base_ = './hyperclip_unet_cloud.py'

# ---------------------------------------------------------------- knobs
num_images = 2000  # per epoch
num_val_images = 200
first_val_seed = 1_000_000_000
image_size = 256

# ---------------------------------------------------------------- structure
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ProceduralSkyDataset',
        num_images=num_images,
        image_size=image_size,
        pipeline={{_base_.train_pipeline}},
    )
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ProceduralSkyDataset',
        num_images=num_val_images,
        first_seed=first_val_seed,
        image_size=image_size,
        pipeline={{_base_.test_pipeline}},
    )
)
test_dataloader = val_dataloader
