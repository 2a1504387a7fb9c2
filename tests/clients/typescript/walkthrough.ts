// The README's walk-through with the TypeScript client of openapi-generator. The argument is the URL of a new system.

import assert from 'node:assert/strict';
import { argv } from 'node:process';

import { CommandsApi, Configuration, QueriesApi, ResponseError } from './client';

async function main(): Promise<void> {
    const configuration = new Configuration({ basePath: argv[2] });
    const commands = new CommandsApi(configuration);
    const queries = new QueriesApi(configuration);

    const placeOrder = {
        customerId: 'alice',
        currency: 'EUR' as const,
        items: [{ sku: 'BOOK-1', quantity: 2, unitPrice: 5_000_000_000 }], // more than 32 bits
        shippingAddress: '1 Main Street, Springfield',
    };
    const placed = await commands.placeOrderRaw({ placeOrder, idempotencyKey: 'first' });
    const again = await commands.placeOrderRaw({ placeOrder, idempotencyKey: 'first' });
    const { orderId, version } = await placed.value();
    const ifMatch = placed.raw.headers.get('ETag') ?? '';
    assert.deepEqual([placed.raw.status, version, ifMatch], [201, 1, '"1"']);
    assert.equal((await again.value()).orderId, orderId);
    assert.equal(again.raw.headers.get('Idempotency-Replayed'), 'true');

    const shipOrder = { carrier: 'DHL', trackingNumber: 'JD0123456789' };
    assert.equal((await commands.shipOrder({ orderId, shipOrder, ifMatch })).version, 2);
    const refused = await commands.shipOrder({ orderId, shipOrder }).catch((error: unknown) => error);
    assert.ok(refused instanceof ResponseError && refused.response.status === 409);
    assert.match((await refused.response.json()).type, /\/already-shipped$/);

    const shown = await queries.getOrderRaw({ orderId, minVersion: 2 });
    const order = await shown.value();
    assert.deepEqual([order.status, order.total, order.version], ['shipped', 10_000_000_000, 2]);
    assert.equal(shown.raw.headers.get('ETag'), '"2-s1"');
    const page = await queries.listOrders({ customerId: 'alice', minVersion: `${orderId}:2` });
    assert.deepEqual(page.orders.map((row) => row.orderId), [orderId]);
    assert.equal(page.nextCursor, null);

    const { events } = await queries.getOrderEvents({ orderId });
    const [first, second] = events;
    assert.ok(first?.type === 'order.placed' && second?.type === 'order.shipped' && events.length === 2);
    assert.equal(first.data.items[0]?.unitPrice, 5_000_000_000);
    assert.equal(second.data.carrier, 'DHL');

    // The projector updates the dashboard asynchronously.
    let dashboard = await queries.getDashboard({ days: 1 });
    for (let attempt = 0; attempt < 100 && dashboard.orders !== 1; attempt += 1) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        dashboard = await queries.getDashboard({ days: 1 });
    }
    assert.deepEqual(dashboard.revenue, { EUR: '10000000000' });
}

main().catch((error: unknown) => {
    console.error(error);
    process.exit(1);
});
