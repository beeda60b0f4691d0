"""Arrays in memory as a data set."""

from ..data_basic import Dataset


class NDArrayDataset(Dataset):
    """Sample i is the tuple of the i-th elements of the given arrays."""

    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return self.arrays[0].shape[0]

    def __getitem__(self, i):
        return tuple(array[i] for array in self.arrays)
