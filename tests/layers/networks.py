"""Small networks in the manner of those that are converted: one or two blocks each, few channels."""

import torch
from torch import nn


def cba(inputs, outputs, kernel=3, stride=1, *, groups=1, activation=nn.ReLU):
    """Convolution, batch normalization, activation."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), activation()]


class VGG(nn.Module):
    """Convolutions with biases, batch normalization behind each, and a classifier with one too."""

    def __init__(self):
        super().__init__()
        layers = []
        for inputs, outputs in ((3, 8), (8, 16)):
            convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
            layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(64, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(), nn.Linear(12, 5)
        )

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


class Residual(nn.Module):
    """Post-activation block with a projection."""

    def __init__(self, inputs, outputs, stride=1, groups=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False, groups=groups)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Sequential(*cba(inputs, outputs, 1, stride)[:2]) if inputs != outputs else None

    def forward(self, x):
        aside = x if self.shortcut is None else self.shortcut(x)
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + aside)


class ResNet(nn.Module):
    def __init__(self, groups=1):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(Residual(8, 8, groups=groups), Residual(8, 16, 2, groups))
        self.fc = nn.Linear(16, 5)

    def forward(self, x):
        y = self.layer1(nn.functional.relu(self.bn1(self.conv1(x))))
        return self.fc(y.mean((2, 3)))


class PreResidual(nn.Module):
    """Batch normalization and activation come first."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()

    def forward(self, x):
        y = nn.functional.relu(self.bn1(x))
        aside = x if isinstance(self.shortcut, nn.Identity) else self.shortcut(y)
        return self.conv2(nn.functional.relu(self.bn2(self.conv1(y)))) + aside


class PreResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.blocks = nn.Sequential(PreResidual(8, 8), PreResidual(8, 12))
        self.bn, self.fc = nn.BatchNorm2d(12), nn.Linear(12, 5)

    def forward(self, x):
        return self.fc(nn.functional.relu(self.bn(self.blocks(self.conv(x)))).mean((2, 3)))


class Dense(nn.Module):
    """Bottleneck whose output is appended to its input."""

    def __init__(self, inputs, growth):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, 2 * growth, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(2 * growth), nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False)
        self.relu = nn.ReLU()

    def forward(self, x):
        y = self.conv1(self.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(self.relu(self.norm2(y)))], 1)


def densenet():
    """A dense block and a transition."""
    transition = [nn.BatchNorm2d(14), nn.ReLU(), nn.Conv2d(14, 7, 1, bias=False), nn.AvgPool2d(2)]
    first = nn.Conv2d(3, 6, 3, padding=1, bias=False)
    return nn.Sequential(first, Dense(6, 4), Dense(10, 4), *transition, nn.Flatten(), nn.Linear(7 * 16, 5))


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution and projection, the last without activation."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.joined, wide = stride == 1 and inputs == outputs, 2 * inputs
        expand = cba(inputs, wide, 1, activation=nn.ReLU6)
        depthwise = cba(wide, wide, 3, stride, groups=wide, activation=nn.ReLU6)
        self.conv = nn.Sequential(*expand, *depthwise, *cba(wide, outputs, 1)[:2])

    def forward(self, x):
        return x + self.conv(x) if self.joined else self.conv(x)


def mobilenet_v2():
    blocks = InvertedResidual(8, 8, 1), InvertedResidual(8, 6, 2)
    return nn.Sequential(*cba(3, 8, 3), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))


def resnext():
    return ResNet(groups=4)


NETWORKS = {
    "vgg": VGG,
    "resnet": ResNet,
    "preresnet": PreResNet,
    "densenet": densenet,
    "mobilenet_v2": mobilenet_v2,
    "resnext": resnext,
}


def trained(make, seed=0):
    """A network whose batch normalizations have seen data and have weights of their own, in evaluation."""
    torch.manual_seed(seed)
    network = make()
    randomize(network)
    network.train()
    for _ in range(3):
        network(images())
    return network.eval()


def randomize(network):
    """Give batch normalizations weights and biases."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.weight is not None:
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)


def images(count=16, size=8, seed=1):
    """Neighbouring pixels and channels go together; mean 0.5."""
    noise = torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))
    return 0.5 + noise + noise.roll(1, 2) + noise.flip(1)


def reasons(conversion):
    """Why each module that conversion left is as it was, by name."""
    return {change.name: change.reason for change in conversion.left}
