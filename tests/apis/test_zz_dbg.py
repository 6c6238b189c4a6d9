import sys; sys.path.insert(0,'/work/main')
import pytest, torch, numpy as np
import tests.apis.test_export as T
from hyperbolic_seg.apis.export import _predicted, ExportableSegmentor
from hyperbolic_seg.models.refinement import chain
def test_dbg(build):
    s = build(**T.CASES['multilabel'])
    m = ExportableSegmentor(s)
    rng = np.random.default_rng(0); im = rng.integers(0,256,(1,3,32,48),np.uint8)
    e = list(_predicted(s, im))[0]
    with torch.no_grad():
        p, l, r = m(torch.from_numpy(im.astype(np.float32)))
        inputs = ((torch.from_numpy(im.astype(np.float32))) - m.image_mean)/m.image_std
        logits, _ = m.head.forward_with_radius(m.backbone(inputs), m.words)
    q = chain.class_probabilities(e.seg_logits.data)
    d = (p[0]-q).abs().amax(0); i = d.flatten().argmax(); y, x = i//48, i%48
    print('diff', d.max(), p[0,:,y,x], q[:,y,x], e.seg_logits.data[:,y,x])
    big = chain.enlarge(logits, inputs)
    print('logits', big[0,:,y,x], logits.min(), logits.max())
    print('labels differ', (l[0]!=e.pred_sem_seg.data[0]).float().mean())
from tests.apis.test_export import *
