"""Several outputs as one: what fails in one of them keeps nothing from the others."""

from hyperbolic_seg.app.outputs.base import Outputs


class Kept:
    def __init__(self, order, error=None):
        self.lines, self.order, self.error = [], order, error

    def add(self, line):
        if self.error:
            raise self.error
        self.lines.append(line)

    def close(self):
        self.order.append(self)
        if self.error:
            raise self.error


def test_the_failure_of_one_output_is_said_once_and_the_others_go_on():
    said, order = [], []
    full, kept = Kept(order, OSError('the disk\nis full')), Kept(order)
    with Outputs([full, kept], said.append) as outputs:
        outputs.add(dict(name='a.png'))
        outputs.add(dict(name='b.png'))
        assert said == ['Kept: the disk is full']
        full.error = None
        outputs.add(dict(name='c.png'))
        full.error = OSError('the disk\nis full')
        outputs.add(dict(name='d.png'))
        assert len(said) == 2, 'it worked in between'
    assert [line['name'] for line in kept.lines] == ['a.png', 'b.png', 'c.png', 'd.png']
    assert order == [kept, full]
