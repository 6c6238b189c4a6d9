# Templates of the models of the sky; they equal hyperbolic_seg.sky.TEMPLATES.
sky_templates = ('{}', 'a photo of {}', 'a photo of the sky with {}', '{} seen from the ground')
