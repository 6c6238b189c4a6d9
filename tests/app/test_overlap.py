"""Jobs overlap, and still end in their order, in bounded memory and with the errors of one after the other."""

import threading
from collections import Counter

import pytest

from hyperbolic_seg.app.overlap import in_order

SECONDS = 20  # for what happens at once unless it never does


class Recorder:
    """Jobs that write down what happens to them, and wait for others where they are told to."""

    def __init__(self, sizes, *, waits=()):
        self.lock, self.steps, self.in_work, self.most = threading.Lock(), [], Counter(), 0
        self.done = {(step, number): threading.Event() for step in ('read', 'write') for number in range(len(sizes))}
        self.waits = dict(waits)
        self.jobs = [Numbered(self, number, size) for number, size in enumerate(sizes)]


class Numbered:
    def __init__(self, recorder, number, size):
        self.recorder, self.number, self.pixels, self.is_open = recorder, number, size, False

    def measure(self):
        self.is_open = True
        return self.pixels

    def close(self):
        self.is_open = False

    def step(self, name):
        recorder = self.recorder
        with recorder.lock:
            recorder.steps.append((name, self.number, threading.current_thread()))
            if name == 'read':
                recorder.in_work[self.number] = self.pixels or 0
                recorder.most = max(recorder.most, sum(recorder.in_work.values()))
        other = recorder.waits.get((name, self.number))
        assert other is None or recorder.done[other].wait(SECONDS), f'{name} of {self.number} runs beside no {other}'
        if name != 'predict':
            recorder.done[name, self.number].set()

    def read(self):
        self.close()
        self.step('read')

    def predict(self):
        self.step('predict')

    def write(self):
        self.step('write')

    def finish(self):
        with self.recorder.lock:
            del self.recorder.in_work[self.number]
        return self.number


@pytest.mark.parametrize('ahead', [1, 2, 5])
def test_jobs_are_predicted_and_end_in_their_order(ahead):
    recorder = Recorder([1] * 40)
    for expected, job in enumerate(in_order(recorder.jobs, ahead=ahead)):
        assert job.finish() == expected
    assert len(recorder.steps) == 120
    predictions = [(number, thread) for name, number, thread in recorder.steps if name == 'predict']
    assert predictions == [(number, threading.current_thread()) for number in range(40)]
    assert recorder.most <= ahead
    if ahead == 1:
        assert [step[:2] for step in recorder.steps] == [
            (name, number) for number in range(40) for name in ('read', 'predict', 'write')
        ]


def test_reading_and_writing_go_on_beside_a_prediction():
    """The first prediction waits for two pictures to be read, the second one for the first to be written."""
    recorder = Recorder([1] * 4, waits={('predict', 0): ('read', 2), ('predict', 1): ('write', 0)})
    assert [job.finish() for job in in_order(recorder.jobs)] == [0, 1, 2, 3]


def test_slow_writing_holds_no_prediction_up_and_changes_no_order():
    recorder = Recorder([1] * 4, waits={('write', 0): ('write', 3)})
    assert [job.finish() for job in in_order(recorder.jobs)] == [0, 1, 2, 3]


def test_jobs_in_work_fit_into_the_budget_and_larger_ones_are_alone():
    sizes = [3, 3, 3, 40, 3, None, 3, 4, 4]
    recorder = Recorder(sizes)
    together = []
    for job in in_order(recorder.jobs, budget=8):
        with recorder.lock:
            together.append(set(recorder.in_work))
        assert job.finish() < len(sizes)
    assert together[3] == {3} and together[5] == {5}
    assert recorder.most == 40 and max(len(each) for each in together) <= 2


def test_nothing_is_started_after_the_iteration_ends_early():
    recorder = Recorder([1] * 100)
    jobs = in_order(recorder.jobs, ahead=3)
    assert next(jobs).number == 0
    jobs.close()
    steps = list(recorder.steps)
    assert len({number for _, number, _ in steps}) <= 4 and not any(job.is_open for job in recorder.jobs)
    assert not any(thread.name.startswith('pictures') for thread in threading.enumerate())


def test_an_interruption_of_a_prediction_ends_the_threads():
    recorder = Recorder([1] * 100)

    def interrupted():
        raise KeyboardInterrupt

    recorder.jobs[2].predict = interrupted
    ended = []
    with pytest.raises(KeyboardInterrupt):
        ended.extend(job.finish() for job in in_order(recorder.jobs))
    assert set(ended) <= {0, 1}
    assert not any(thread.name.startswith('pictures') for thread in threading.enumerate())


def test_a_step_that_raises_ends_the_iteration():
    recorder = Recorder([1] * 3)

    def broken():
        raise ZeroDivisionError

    recorder.jobs[1].write = broken
    with pytest.raises(ZeroDivisionError):
        for job in in_order(recorder.jobs):
            job.finish()


def test_at_least_one_job_is_in_work():
    assert list(in_order([])) == []
    with pytest.raises(ValueError, match='ahead=0: expected at least 1'):
        next(in_order([], ahead=0))
