// The words of invented container names: moods, and people to whom computing, mathematics and the sciences owe something.

export const adjectives: readonly string[] =
  `able airy amber ample ardent artful awake balanced bold brave breezy bright brisk busy calm candid careful cheerful
  chipper civil clear clever comely composed constant cordial cosy crisp curious dapper daring deft devoted diligent
  discreet doughty dreamy eager earnest easy elated elegant eloquent even exact fair faithful famous fearless fervent
  festive fine fluent fond frank free fresh friendly gallant generous genial gentle gifted glad gleeful golden good graceful
  gracious grand grateful handy hardy harmless heroic hopeful humble inventive jolly jovial joyful keen kind lively logical
  loving loyal lucid lucky mellow merry mild mindful modest musing neat nimble noble observant open patient peaceful pensive
  playful polite precise prompt proud prudent quick quiet radiant rapid ready robust sage serene sharp sincere sober sound
  spry stately steady stoic sunny sweet swift tender thorough thoughtful tidy tranquil trusty upbeat valiant vivid warm
  watchful wise witty zealous zesty`.split(/\s+/);

export const surnames: readonly string[] =
  `abel allen ampere anning archimedes aryabhata avogadro babbage backus banneker bartik bell bernoulli bessel bohr boltzmann
  boole booth borg boyle brahe brahmagupta burnell cannon cantor carson cauchy cavendish cerf chandrasekhar chatelet church
  clarke cori coulomb crick curie dalton darwin davy dedekind descartes dijkstra diophantus dirac doppler easley edison
  einstein elion engelbart eratosthenes erdos euclid euler faraday fermat fermi feynman fibonacci fourier franklin frege
  galileo galois gauss gauthier germain goedel goldberg goodall granville hadamard haibt halley hamilton hamming hawking
  heisenberg herschel hertz hilbert hodgkin holberton hopper hubble hypatia jackson jacobi jemison johnson joliot joule
  kalam kepler khayyam khorana kilby kirch knuth kolmogorov kovalevskaya lagrange lamarr laplace leavitt leibniz lovelace
  lumiere mandelbrot margulis maxwell mayer mccarthy mcclintock meitner mendel mendeleev merian michelson mirzakhani moore
  naur napier nash neumann newell newton nightingale nobel noether pappus pascal pasteur pauli payne perlman planck
  poincare poitras ptolemy pythagoras raman ramanujan ramsey rhodes riemann ritchie rubin russell rutherford salk sammet
  shannon shaw shockley sinoussi snyder spence stallman swartz swirles tesla thales thompson torricelli torvalds turing
  varahamihira vaughan villani volta wescoff wilbur wiles williams wilson wirth wright wu yalow yonath zuse`.split(
    /\s+/,
  );
