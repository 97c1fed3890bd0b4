// Package allocator grants addresses out of pools, as the example's smallest subsystem: everything but the choice of an
// address comes from the subsystem kit.
//
// A wish is {"pool":"edge"}; its result is {"address":"127.77.0.1"}. {"pool":"edge","address":"127.77.0.9"} asks for that
// one. A wish that carries an earlier result (a repair) gets the same address when it is free. An address is never granted
// twice; absence gives it back. Addresses are granted in turn, so that one just given back rests as long as possible.
//
// A pool without a free address, and an address that another key holds, are refused as Throttled: somebody may give it
// back. An unknown pool and an address outside the pool are refused as Terminal.
package allocator
