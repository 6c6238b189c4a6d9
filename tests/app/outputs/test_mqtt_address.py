import pytest

from hyperbolic_seg.app.outputs.mqtt_address import MqttAddress


def test_a_url_is_read():
    assert MqttAddress.parse('mqtt://camera%40roof@broker.example:1884/sky/the%20roof/') == MqttAddress(
        'broker.example', 1884, False, 'camera@roof', 'sky/the roof'
    )
    found = MqttAddress.parse('mqtts://[::1]/sky?expire_after=60&discovery=home/discovery')
    assert found == MqttAddress('::1', 8883, True, None, 'sky', 60, 'home/discovery')
    assert MqttAddress.parse('mqtt://localhost/sky').port == 1883


@pytest.mark.parametrize(
    ('url', 'reason'),
    [
        ('http://broker/sky', 'expected one such as mqtt://user@host'),
        ('broker/sky', 'expected one such as mqtt://user@host'),
        ('mqtt:///sky', 'has no host'),
        (f'mqtt://{"a" * 64}.example/sky', 'has no host, or none that can be one'),
        ('mqtt://broker:0/sky', 'expected a port from 1 to 65535'),
        ('mqtt://broker:70000/sky', 'expected a port from 1 to 65535'),
        ('mqtt://broker:/sky?port=1', 'expected expire_after=SECONDS'),
        ('mqtt://broker', 'expected a path of its own for each camera'),
        ('mqtt://broker/sky//roof', 'without empty levels'),
        ('mqtt://broker/sky/%23', 'without empty levels'),
        ('mqtt://broker/$SYS/sky', r'a \$ in front'),
        ('mqtt://broker/sky%00', 'expected a path'),
        (f'mqtt://broker/{"a" * 201}', '201 characters: expected at most 200'),
        ('mqtt://broker/sky#roof', 'expected one such as'),
        ('mqtt://broker/sky?expire_after=0', 'a whole number from 1'),
        ('mqtt://broker/sky?expire_after=soon', 'a whole number from 1'),
        ('mqtt://broker/sky?expire_after', 'a whole number from 1'),
        ('mqtt://broker/sky?discovery=', 'expected a path'),
        ('mqtt://[broker/sky', 'cannot be read .*expected one such'),
    ],
)
def test_a_wrong_url_is_refused(url, reason):
    with pytest.raises(ValueError, match=reason):
        MqttAddress.parse(url)


@pytest.mark.parametrize(
    ('url', 'reason'),
    [
        ('mqtt://camera:secret@broker/sky', 'list of processes.*HYPERBOLIC_SEG_MQTT_PASSWORD'),
        ('camera:secret@broker/sky', 'expected one such as'),
        ('mqtt://camera:secret@[broker/sky', 'expected one such as'),
    ],
)
def test_a_password_is_refused_and_not_repeated(url, reason):
    with pytest.raises(ValueError, match=reason) as refused:
        MqttAddress.parse(url)
    assert 'secret' not in str(refused.value)
