// gantry-archive: files of a container's or a volume's tree in and out as tars.
#pragma once
