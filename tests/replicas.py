"""Copies of modules as torch.nn.DataParallel makes them."""


def replica_of(module):
    """Copy a module as torch.nn.parallel.replicate does for its first GPU, which a CPU cannot."""
    copies = {one: one._replicate_for_data_parallel() for one in module.modules()}
    for one, replica in copies.items():
        for key, child in one.named_children():
            setattr(replica, key, copies[child])
        for key, parameter in one._parameters.items():
            if parameter is None:
                replica._parameters[key] = None
            else:
                setattr(replica, key, parameter.view_as(parameter))  # no leaf and no parameter
    return copies[module]
